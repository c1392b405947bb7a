"""ResidualKMeans: quantises item embeddings level by level, each level on what the one before left over."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK_ELEMENTS = 2**19  # distances held at once: 2 MiB of float32, which stays in the cache
SEEDING_POINTS_PER_CODE = 256  # k-means++ draws from a sample of this many: one pass over it for every code
TRIAL_ITERATIONS = 5  # what tells a good start from a bad one
# Seeds as drawn suit separate clusters. In one wide cloud, such as the residuals of a good level, points are
# closer to the mean than to each other: a code near the mean would take all of them and leave each other seed
# alone with itself. Seeds pulled towards the mean share such a cloud out evenly.
PULLS = (1.0, 0.2)
ROUNDING = 1e-6  # residuals below this share of the largest embedding are float32 noise, not structure


@dataclass(frozen=True, eq=False)
class Quantised:
    """What a quantiser found; items may still share a path.

    Attributes:
        codes: (I, L) int32 codes, coarse to fine.
        level_sizes: (L,) number of centroids of each level.
        centroids: L arrays (K_b, E) float32; the sum of an item's centroids approximates its embedding.
    """

    codes: NDArray[np.int32]
    level_sizes: tuple[int, ...]
    centroids: list[NDArray[np.float32]]


class ResidualKMeans:
    """Residual k-means: k-means++ seeds and Lloyd's iterations on the residuals of every level.

    Args:
        levels: L, number of levels, >= 1.
        codes: K, codes per level, >= 1; one number, or one per level.
        iterations: most Lloyd iterations per level, >= 1; a level stops sooner once nothing changes.
        restarts: independent draws of seeds per level, >= 1; the one with the smallest squared error after a
            few iterations goes on.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(self, levels: int, codes: int | Sequence[int], iterations: int, restarts: int) -> None:
        for name, value in (("levels", levels), ("iterations", iterations), ("restarts", restarts)):
            _check_count(name, value)
        per_level = list(codes) if isinstance(codes, Sequence) else [codes] * levels
        if len(per_level) != levels:
            raise ValueError(f"ids.codes must be one number or {levels} (ids.levels), got {len(per_level)}")
        for size in per_level:
            _check_count("codes", size)
        self.levels = levels
        self.codes = tuple(int(size) for size in per_level)
        self.iterations = iterations
        self.restarts = restarts

    def fit(self, embeddings: NDArray[np.float32], seed: int) -> Quantised:
        """Finds every item's codes. The same seed and embeddings give the same codes.

        Levels are clamped, with a warning, to the number of distinct vectors they have to tell apart.

        Args:
            embeddings: (I, E) finite numbers, one row per item.
            seed: >= 0.

        Returns:
            codes (I, L), level sizes and centroids.

        Raises:
            ValueError: no (I, E) table, or a row that holds NaN or infinity.
        """
        table = _checked_embeddings(embeddings)
        rng = np.random.default_rng(seed)
        # float32 squares lose small differences far from the origin, and overflow beyond 1e19.
        scale = np.abs(table).max() or np.float32(1)
        scaled = table / scale
        mean = scaled.mean(axis=0, dtype=np.float64).astype(np.float32)
        residual = torch.from_numpy(scaled - mean)
        noise = ROUNDING * float(residual.norm(dim=1).max())
        codes, centroids = [], []
        for level, size in enumerate(self.codes):
            centres, assigned = self._fit_level(residual, size, rng)
            residual -= centres[assigned]
            residual[residual.norm(dim=1) <= noise] = 0.0
            codes.append(assigned.numpy().astype(np.int32))
            centroids.append((centres.numpy() + (mean if level == 0 else np.float32(0))) * scale)
        sizes = tuple(len(centres) for centres in centroids)
        if sizes != self.codes:
            warnings.warn(
                f"ids.codes clamped from {list(self.codes)} to {list(sizes)}, the distinct vectors per level",
                stacklevel=2,
            )
        return Quantised(np.stack(codes, axis=1), sizes, centroids)

    def _fit_level(self, points: Tensor, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(I, E) points -> centres (K, E), assignment (I,) int64."""
        exact = _distinct_rows(points, size)
        if exact is not None:
            return exact
        trial = min(TRIAL_ITERATIONS, self.iterations)
        squares = points.square().sum(dim=1)
        seeds = [_seed_centres(points, squares, size, rng) for _ in range(self.restarts)]
        starts = [
            _lloyd(points, squares, _nearest(points, squares, centres * pull), trial)
            for centres in seeds
            for pull in PULLS
        ]
        best = min(starts, key=lambda start: float(start.distances.double().sum()))
        found = _lloyd(points, squares, best, self.iterations - trial)
        return found.centres, found.assigned


class _Partition(NamedTuple):
    """Points by their nearest centres: centres (K, E), assigned (I,) int64, squared distances (I,) >= 0."""

    centres: Tensor
    assigned: Tensor
    distances: Tensor


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"ids.{name} must be an integer >= 1, got {value!r}")


def _checked_embeddings(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity and is refused below
        table = np.asarray(embeddings, dtype=np.float32)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"embeddings must be a table (items, width) with no empty side, got {table.shape}")
    finite = np.isfinite(table).all(axis=1)
    if not finite.all():
        raise ValueError(f"embeddings must be finite, got NaN or infinity for item {int(np.argmin(finite))}")
    return table


def _distinct_rows(points: Tensor, most: int) -> tuple[Tensor, Tensor] | None:
    """The distinct rows (n, E) and each row's index among them (I,) int64; None when n > most."""
    if len(np.unique(row_keys(points[: 4 * most].numpy()))) > most:  # spares most calls the sort of all rows
        return None
    _, first, inverse = np.unique(row_keys(points.numpy()), return_index=True, return_inverse=True)
    if len(first) > most:
        return None
    return points[torch.from_numpy(first)], torch.from_numpy(inverse)


def row_keys(rows: NDArray[np.float32]) -> NDArray[np.void]:
    """One sortable key per row of (n, E) floats; equal rows, and no others, have equal keys."""
    positive = np.ascontiguousarray(rows + np.float32(0))  # -0.0 becomes 0.0, which has other bytes
    return positive.view(np.dtype((np.void, positive.dtype.itemsize * positive.shape[1]))).ravel()


def _seed_centres(points: Tensor, squares: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """k-means++: each next centre is a point drawn in proportion to its squared distance to the nearest."""
    sample = SEEDING_POINTS_PER_CODE * size
    if len(points) > sample:
        drawn = torch.from_numpy(np.sort(rng.choice(len(points), sample, replace=False)))
        points, squares = points[drawn], squares[drawn]
    lengths = squares.numpy()
    columns = points.T.contiguous().numpy()  # one vector times all points is fastest in this order, and in numpy
    nearest = np.full_like(lengths, np.inf)
    chosen = [int(rng.integers(len(points)))]
    while True:
        centre = points[chosen[-1]].numpy()
        distances = centre @ columns
        distances *= -2
        distances += lengths
        distances += np.square(centre).sum()
        np.minimum(nearest, distances.clip(0), out=nearest)
        nearest[chosen[-1]] = 0.0
        if len(chosen) == size:
            return points[torch.tensor(chosen)]
        mass = np.cumsum(nearest, dtype=np.float64)
        # Side "right" steps over points of no mass; all mass can be gone to rounding, then any point will do.
        place = int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))
        chosen.append(place if place < len(mass) else int(rng.integers(len(mass))))


def _lloyd(points: Tensor, squares: Tensor, start: _Partition, iterations: int) -> _Partition:
    """Lloyd's iterations from a given partition, until nothing changes."""
    for _ in range(iterations):
        before, start = start, _nearest(points, squares, _means(points, *start))
        if torch.equal(start.assigned, before.assigned):
            break
    return start


def _means(points: Tensor, centres: Tensor, assigned: Tensor, distances: Tensor) -> Tensor:
    """The mean of each code's points; a code without points moves onto a point far from its own centre."""
    counts = torch.bincount(assigned, minlength=len(centres))
    sums = torch.zeros_like(centres).index_add_(0, assigned, points)
    means = sums / counts.clamp_min(1)[:, None]
    empty = torch.nonzero(counts == 0).flatten()
    if len(empty):
        means[empty] = points[distances.topk(len(empty)).indices]
    return means


def _nearest(points: Tensor, squares: Tensor, centres: Tensor) -> _Partition:
    """Assigns each point (I, E), of squared length `squares` (I,), to the nearest centre (K, E)."""
    halves = centres.square().sum(dim=1) / 2
    rows = max(1, CHUNK_ELEMENTS // len(centres))
    # argmin |x - c|^2 = argmin |c|^2 / 2 - x . c: the point's own square changes nothing
    found = [torch.addmm(halves, chunk, centres.T, alpha=-1).min(dim=1) for chunk in points.split(rows)]
    assigned = torch.cat([chunk.indices for chunk in found])
    distances = torch.cat([chunk.values for chunk in found]).mul_(2) + squares
    return _Partition(centres, assigned, distances.clamp_min_(0))
