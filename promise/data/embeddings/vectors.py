"""Steps that several encoders share: truncated SVD, rows of length 1, checks and fingerprints of parameters."""

import hashlib
import json

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd


def reduced(matrix: sparse.csr_matrix, dim: int, seed: int) -> np.ndarray:
    """Returns U S of the truncated SVD U S V' of an (I, n) matrix: (I, E), E = dim or the rank."""
    _, strengths, directions = randomized_svd(matrix, min(dim, *matrix.shape), random_state=seed)
    kept = strengths > 1e-6 * strengths[0]
    # Not from U: as a product, equal rows stay equal to the bit and empty rows exactly zero.
    return (matrix @ directions[kept].T).astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scales the rows of (I, E) to length 1; rows of zeros stay."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1)  # so that squares neither overflow nor vanish
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.where(norms > 0, norms, 1)).astype(np.float32)


def at_least_one(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"embeddings.{name} must be an integer >= 1, got {value}")
    return value


def digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
