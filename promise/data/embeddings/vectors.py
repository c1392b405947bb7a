"""Steps that several encoders share: truncated SVD, rows of length 1, fingerprints of parameters."""

import hashlib
import json

import numpy as np
from scipy import sparse

from promise.ids.progress import progress

#: Steps of subspace iteration, and directions beyond those wanted: with them the last strengths are right to 1e-3 where
#: a spectrum hardly falls, as that of words or of purchases does.
STEPS, SPARE = 5, 32


def reduced(matrix: sparse.csr_matrix, dim: int, seed: int, what: str) -> np.ndarray:
    """U S of the truncated SVD U S V' of an (I, n) matrix: (I, E), E = dim or the rank.

    V by subspace iteration with M'M, whose falling spectrum a shift makes steeper at each step (Feng et al., "A fast
    and accurate randomized SVD with dynamic shifts", 2024). Memory: 3 (I + n) (dim + 32) float32.

    Args:
        matrix: (I, n), float32.
        dim: strongest directions that are kept.
        seed: of the first directions.
        what: is reduced, for the progress bar.
    """
    width = min(dim + SPARE, *matrix.shape)
    if width == min(matrix.shape):
        strengths, directions = np.linalg.svd(matrix.toarray().astype(np.float64), full_matrices=False)[1:]
    else:
        basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), dtype=np.float32)
        basis, shift = orthonormal(basis)[0], 0.0
        for _ in progress(range(STEPS), f"{what}: directions"):
            image = matrix.T @ (matrix @ basis)
            image -= np.float32(shift) * basis
            basis, strengths = orthonormal(image)
            shift = max(shift, (shift + float(strengths[-1])) / 2)
        rotation, strengths = principal(matrix @ basis)
        directions = (basis @ rotation).T
    kept = strengths[:dim] > 1e-6 * strengths[0]
    # Not from U: as a product, equal rows stay equal to the bit and empty rows exactly zero.
    return (matrix @ directions[:dim][kept].T).astype(np.float32)


def orthonormal(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis (n, w) of the columns of (n, w), w their rank, and their singular values (w,), falling."""
    rotation, strengths = principal(vectors)
    kept = strengths > 1e-6 * strengths[0]
    return vectors @ (rotation[:, kept] / strengths[kept].astype(np.float32)), strengths[kept]


def principal(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right singular vectors (w, w) and singular values (w,), falling, of a tall (n, w): far faster than by a QR."""
    squares, rotation = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    return rotation[:, ::-1].astype(np.float32), np.sqrt(squares[::-1].clip(0))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Scales the rows of (I, E) to length 1; rows of zeros stay."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    scaled = vectors / np.where(largest > 0, largest, 1)  # so that squares neither overflow nor vanish
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return (scaled / np.where(norms > 0, norms, 1)).astype(np.float32)


def digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
