"""GivenEmbedding: item vectors computed elsewhere, from a .npy file."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promise.data.embeddings.vectors import digest
from promise.data.histories import Histories


class GivenEmbedding:
    """Vectors computed elsewhere, one row per item in catalogue order.

    Args:
        path: .npy file with a 2-D array of numbers, I rows.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def embed(self, texts: Sequence[str | None], histories: Histories, seed: int) -> np.ndarray:
        """Reads the file: (I, E) float32, as it stands.

        Raises:
            ValueError: the file is missing, is no .npy array of real numbers, is not 2-D, has not one row
                per item, or holds a number that is not finite.
        """
        with self._open() as file:
            try:
                vectors = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise ValueError(f"embeddings.path: {self.path} is not a .npy file of numbers") from error
        if vectors.dtype.kind not in "fiu":
            raise ValueError(f"embeddings.path: {self.path} is not a .npy file of numbers")
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError(f"embeddings.path: expected a 2-D array (items, width), got shape {vectors.shape}")
        if len(vectors) != histories.item_count:
            raise ValueError(f"embeddings.path: expected {histories.item_count} rows, one per item, got {len(vectors)}")
        with np.errstate(over="ignore"):  # an overflow to infinity is reported below
            vectors = vectors.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise ValueError(f"embeddings.path: row {bad[0]} holds a number that is not finite in float32")
        return vectors

    def fingerprint(self) -> str:
        """Returns a hash of the file's contents.

        Raises:
            ValueError: the file cannot be read.
        """
        with self._open() as file:
            return digest("given-1", hashlib.file_digest(file, "sha256").hexdigest())

    def _open(self) -> io.BufferedReader:
        try:
            return Path(self.path).expanduser().open("rb")
        except OSError as error:
            raise ValueError(f"embeddings.path: cannot read {self.path}: {error.strerror}") from error
