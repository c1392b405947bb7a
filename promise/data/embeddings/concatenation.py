"""Concatenation: several embeddings side by side, each with a weight."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.vectors import digest, unit_rows
from promise.data.histories import Histories

logger = logging.getLogger(__name__)


class Concatenation:
    """Several embeddings side by side; each one's rows are scaled to length 1, then to its weight.

    A part that the data hold nothing for (texts, in a source without them) is left out with a warning.

    Args:
        parts: name -> {"embedding": an ItemEmbedding, "weight": finite, >= 0; 0 leaves the part out}.

    Raises:
        ValueError: there is no part with a weight above 0, or a weight is negative or not finite.
    """

    def __init__(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        for name, part in parts.items():
            weight = part["weight"]
            if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise ValueError(f"embeddings.parts.{name}.weight must be finite and >= 0, got {weight}")
        self.parts = {name: part for name, part in parts.items() if part["weight"] > 0}
        if not self.parts:
            raise ValueError("embeddings.parts must hold at least one part with a weight above 0")

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Embeds every item by every part: (I, sum of the parts' E) float32; NothingToEmbed where no part is left."""
        columns, reasons = [], []
        for name, part in self.parts.items():
            try:
                vectors = part["embedding"].embed(items, histories, seed)
            except NothingToEmbed as error:
                logger.warning("embeddings.parts.%s is left out: %s", name, error)
                reasons.append(f"{name}: {error}")
            else:
                columns.append(np.float32(part["weight"]) * unit_rows(vectors))
        if not columns:
            raise NothingToEmbed("no part of the embeddings can be computed: " + "; ".join(reasons))
        return np.hstack(columns)

    def fingerprint(self) -> str:
        """Returns a hash of the parts, their order and their weights."""
        parts = ((part["embedding"].fingerprint(), part["weight"]) for part in self.parts.values())
        return digest("concatenation-1", *parts)
