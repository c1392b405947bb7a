"""ResidualKMeans: quantizes item embeddings level by level, each level on what the one before left over."""

import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promise.ids.semantic_ids import row_keys

CHUNK_ELEMENTS = 2**19  # distances held at once: 2 MiB of float32, which stays in the cache
SEEDING_POINTS_PER_CODE = 256  # k-means++ draws from a sample of this many: one pass over it for every code
TRIAL_ITERATIONS = 5  # what tells a good start from a bad one
# Seeds as drawn suit separate clusters. In one wide cloud, such as the residuals of a good level, points are
# closer to the mean than to each other: a code near the mean would take all of them and leave each other seed
# alone with itself. Seeds pulled towards the mean share such a cloud out evenly.
PULLS = (1.0, 0.2)
ROUNDING = 1e-6  # residuals below this share of the largest embedding are float32 noise, not structure


class _Level(NamedTuple):
    """Codewords (K, E) of the scaled residuals; `exact` if they are all distinct vectors of the fit."""

    codewords: Tensor
    exact: bool


class ResidualKMeans:
    """Residual k-means: k-means++ seeds and Lloyd's iterations on the residuals of every level.

    Args:
        levels: L, number of levels, >= 1.
        codes: K, codes per level, >= 1; one number, or one per level.
        iterations: most Lloyd iterations per level, >= 1; a level stops sooner once nothing changes.
        restarts: independent draws of seeds per level, >= 1; the one with the smallest squared error after a
            few iterations goes on.

    Attributes:
        level_sizes: (L,) K of each level.
        codebooks: after `fit`, L arrays (K_b, E); fewer than K where a level had fewer distinct vectors to tell apart.

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
        self.level_sizes = tuple(int(size) for size in per_level)
        self.codebooks: list[NDArray[np.float32]] = []
        self._iterations = iterations
        self._restarts = restarts

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Learns the codebooks. The same seed and vectors give the same ones.

        Levels are clamped, with a warning, to the number of distinct vectors they have to tell apart.

        Args:
            vectors: (I, E) finite numbers, one row per item.
            seed: >= 0.

        Raises:
            ValueError: no (I, E) table, or a row that holds NaN or infinity.
        """
        table = _checked_vectors(vectors)
        rng = np.random.default_rng(seed)
        # float32 squares lose small differences far from the origin, and overflow beyond 1e19.
        self._scale = np.abs(table).max() or np.float32(1)
        self._mean = (table / self._scale).mean(axis=0, dtype=np.float64).astype(np.float32)
        residual = self._centred(table)
        self._noise = ROUNDING * float(residual.norm(dim=1).max())
        self._levels: list[_Level] = []
        for size in self.level_sizes:
            level, assigned = self._fit_level(residual, size, rng)
            self._levels.append(level)
            residual = self._left_over(residual, level, assigned)
        offsets = [self._mean, *[np.float32(0)] * (len(self._levels) - 1)]
        self.codebooks = [
            (level.codewords.numpy() + offset) * self._scale
            for level, offset in zip(self._levels, offsets, strict=True)
        ]
        sizes = [len(codebook) for codebook in self.codebooks]
        if sizes != list(self.level_sizes):
            warnings.warn(
                f"ids.codes clamped from {list(self.level_sizes)} to {sizes}, the distinct vectors per level",
                stacklevel=2,
            )

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """The nearest codeword of what the levels before left over, level by level: (I, E) -> (I, L).

        Raises:
            ValueError: no (I, E) table, or a row that holds NaN or infinity.
        """
        residual = self._centred(_checked_vectors(vectors))
        codes = []
        for level in self._levels:
            if level.exact:
                assigned = _nearest_exactly(residual, level.codewords)
            else:
                assigned = _nearest(residual, residual.square().sum(dim=1), level.codewords).assigned
            residual = self._left_over(residual, level, assigned)
            codes.append(assigned.numpy().astype(np.int32))
        return np.stack(codes, axis=1)

    def _centred(self, table: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(table / self._scale - self._mean)

    def _left_over(self, residual: Tensor, level: _Level, assigned: Tensor) -> Tensor:
        """The residual (I, E) without its codewords, exactly 0 where only rounding is left."""
        residual = residual - level.codewords[assigned]
        residual[residual.norm(dim=1) <= self._noise] = 0.0
        return residual

    def _fit_level(self, points: Tensor, size: int, rng: np.random.Generator) -> tuple[_Level, Tensor]:
        """(I, E) points -> codewords (K, E), and the code of each point (I,) int64."""
        if (exact := _distinct_rows(points, size)) is not None:
            return _Level(exact[0], True), exact[1]
        trial = min(TRIAL_ITERATIONS, self._iterations)
        squares = points.square().sum(dim=1)
        seeds = [_seed_centres(points, squares, size, rng) for _ in range(self._restarts)]
        starts = [
            _lloyd(points, squares, _nearest(points, squares, centres * pull), trial)
            for centres in seeds
            for pull in PULLS
        ]
        best = min(starts, key=lambda start: float(start.distances.double().sum()))
        found = _lloyd(points, squares, best, self._iterations - trial)
        return _Level(found.centres, False), found.assigned


class _Partition(NamedTuple):
    """Points by their nearest centres: centres (K, E), assigned (I,) int64, squared distances (I,) >= 0."""

    centres: Tensor
    assigned: Tensor
    distances: Tensor


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"ids.{name} must be an integer >= 1, got {value!r}")


def _checked_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity and is refused below
        table = np.asarray(vectors, dtype=np.float32)
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


def _nearest_exactly(points: Tensor, centres: Tensor) -> Tensor:
    """As `_nearest`, (I,) int64, but a point that is itself a centre always meets it, however near the next one is."""
    rows = max(1, CHUNK_ELEMENTS // len(centres))
    mode = "donot_use_mm_for_euclid_dist"
    chunks = points.double().split(rows)
    return torch.cat([torch.cdist(chunk, centres.double(), compute_mode=mode).argmin(dim=1) for chunk in chunks])


def _nearest(points: Tensor, squares: Tensor, centres: Tensor) -> _Partition:
    """Assigns each point (I, E), of squared length `squares` (I,), to the nearest centre (K, E)."""
    halves = centres.square().sum(dim=1) / 2
    rows = max(1, CHUNK_ELEMENTS // len(centres))
    # argmin |x - c|^2 = argmin |c|^2 / 2 - x . c: the point's own square changes nothing
    found = [torch.addmm(halves, chunk, centres.T, alpha=-1).min(dim=1) for chunk in points.split(rows)]
    assigned = torch.cat([chunk.indices for chunk in found])
    distances = torch.cat([chunk.values for chunk in found]).mul_(2) + squares
    return _Partition(centres, assigned, distances.clamp_min_(0))
