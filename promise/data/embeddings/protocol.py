"""ItemEmbedding: the interface of everything that turns items into vectors."""

from typing import Protocol

import numpy as np
import polars as pl

from promise.data.histories import Histories


class NothingToEmbed(ValueError):
    """The data hold nothing that this kind of embedding could be computed from."""


class ItemEmbedding(Protocol):
    """Turns items into vectors."""

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Embeds every item of the catalogue.

        Args:
            items: one row per item (I): `id` as the source has it, `text` (String), null where there is none.
            histories: the users' histories; only their training parts are looked at.
            seed: of a randomised decomposition, 0 .. 2**32 - 1.

        Returns:
            (I, E) float32.

        Raises:
            NothingToEmbed: the data hold nothing to compute this embedding from.
        """
        ...

    def fingerprint(self) -> str:
        """Returns a hash of everything besides the data and the seed that decides the vectors (no paths)."""
        ...
