"""ResidualKMeans: quantizes item embeddings level by level, each level on what the one before left over."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promise.ids.progress import progress
from promise.ids.quantizers.checks import check_balance, check_count, checked_sizes, checked_vectors, fitting
from promise.ids.quantizers.paths import DETOUR, nearest_paths, refitted, spread
from promise.ids.semantic_ids import row_keys

CHUNK_ELEMENTS = 2**19  # distances held at once: 2 MiB of float32, which stays in the cache
SEEDING_POINTS_PER_CODE = 256  # k-means++ draws from a sample of this many: one pass over it for every code
TRIAL_ITERATIONS = 5  # what tells a good start from a bad one
# Seeds as drawn suit separate clusters. In one wide cloud, such as the residuals of a good level, points are
# closer to the mean than to each other: a code near the mean would take all of them and leave each other seed
# alone with itself. Seeds pulled towards the mean share such a cloud out evenly.
PULLS = (1.0, 0.2)
# Of more points than this, half as many choose the start, mini-batches of all move it, and all of them need fewer
# iterations then: about half the time, and an error that differs as little as that of another seed.
LARGE = 100_000
MINI_BATCH, MINI_PASSES, LAST_ITERATIONS = 4096, 1, 12
REFIT_BEAM = 4  # beams: more find hardly nearer paths
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
        iterations: most Lloyd iterations per level, >= 1; a level stops sooner once nothing changes, and of more than
            100,000 items it sees mini-batches first and then needs fewer.
        restarts: independent draws of seeds per level, >= 1; the one with the smallest squared error after a
            few iterations goes on.
        refits: rounds, >= 0, in which items take their paths, the nearest ones of a narrow beam search, and the
            codewords of all levels are then fitted to these at once; lowers the error, 0 leaves each level to itself.
        balance: "none", every item takes its nearest path; "last_level", items that are alike up to the last level
            get distinct last codes at the least error, where these are near, see `promise.ids.quantizers.paths.spread`.

    Attributes:
        level_sizes: (L,) K of each level.
        codebooks: after `fit`, L arrays (K_b, E); fewer than K where a level had fewer distinct vectors to tell apart.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self, levels: int, codes: int | Sequence[int], iterations: int, restarts: int, refits: int, balance: str
    ) -> None:
        self.level_sizes = checked_sizes(levels, codes)
        for name, value, least in (("iterations", iterations, 1), ("restarts", restarts, 1), ("refits", refits, 0)):
            check_count(f"ids.{name}", value, least)
        check_balance(balance)
        self.codebooks: list[NDArray[np.float32]] = []
        self._iterations, self._restarts, self._refits, self._balance = iterations, restarts, refits, balance

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Learns the codebooks. The same seed and vectors give the same ones.

        Levels are clamped, with a warning, to the number of distinct vectors they have to tell apart.

        Args:
            vectors: (I, E) finite numbers, one row per item.
            seed: >= 0.

        Raises:
            ValueError: no (I, E) table, or a row that holds NaN or infinity.
        """
        table = checked_vectors(vectors)
        rng = np.random.default_rng(seed)
        # float32 squares lose small differences far from the origin, and overflow beyond 1e19.
        self._scale = np.abs(table).max() or np.float32(1)
        self._mean = (table / self._scale).mean(axis=0, dtype=np.float64).astype(np.float32)
        residual = self._centred(table)
        self._noise = ROUNDING * float(residual.norm(dim=1).max())
        self._levels: list[_Level] = []
        for size in progress(self.level_sizes, "k-means, level by level"):
            level, assigned = self._fit_level(residual, size, rng)
            self._levels.append(level)
            residual = self._left_over(residual, level, assigned)
        points = self._centred(table)
        self._joint = self._refits > 0 and not any(level.exact for level in self._levels)
        for _ in range(self._refits if self._joint else 0):
            books = refitted(points.numpy(), self._paths(points), self.level_sizes)
            self._levels = [_Level(torch.from_numpy(book), False) for book in books]
        offsets = [self._mean, *[np.float32(0)] * (len(self._levels) - 1)]
        self.codebooks = [
            (level.codewords.numpy() + offset) * self._scale
            for level, offset in zip(self._levels, offsets, strict=True)
        ]
        sizes = [len(codebook) for codebook in self.codebooks]
        if sizes != list(self.level_sizes):
            said = f"ids.codes clamped from {list(self.level_sizes)} to {sizes}, the distinct vectors per level"
            if len(table) < max(self.level_sizes):
                said += f": ids.codes={fitting(len(table))} fits {len(table)} items"
            warnings.warn(said, stacklevel=2)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """The nearest path of each item, and with balance "last_level" distinct ones: (I, E) -> (I, L).

        Without refits the path takes the nearest codeword of what the levels before left over, level by level.
        """
        return self._paths(self._centred(checked_vectors(vectors)))

    def _paths(self, points: Tensor) -> NDArray[np.int32]:
        """The paths of centred points: (I, E) -> (I, L)."""
        vectors, books = points.numpy(), [level.codewords.numpy() for level in self._levels]
        codes = nearest_paths(vectors, books, REFIT_BEAM)[0][:, 0] if self._joint else self._greedy_paths(points)
        return spread(vectors, codes, books, DETOUR) if self._balance == "last_level" else codes

    def _greedy_paths(self, residual: Tensor) -> NDArray[np.int32]:
        """The nearest codeword of what the levels before left over, level by level: (I, E) -> (I, L)."""
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
        squares = points.square().sum(dim=1)
        large = len(points) > LARGE
        part = torch.from_numpy(rng.choice(len(points), LARGE // 2, replace=False)) if large else slice(None)
        few, few_squares = points[part], squares[part]
        trial = min(TRIAL_ITERATIONS, self._iterations)
        seeds = [_seed_centres(few, few_squares, size, rng) for _ in range(self._restarts)]
        starts = [
            _lloyd(few, few_squares, _nearest(few, few_squares, centres * pull), trial)
            for centres in seeds
            for pull in PULLS
        ]
        best, left = min(starts, key=lambda start: float(start.distances.double().sum())), self._iterations - trial
        if large:
            centres = _mini_batches(points, best.centres, rng)
            best, left = _nearest(points, squares, centres), min(left, LAST_ITERATIONS)
        found = _lloyd(points, squares, best, left)
        return _Level(found.centres, False), found.assigned


class _Partition(NamedTuple):
    """Points by their nearest centres: centres (K, E), assigned (I,) int64, squared distances (I,) >= 0."""

    centres: Tensor
    assigned: Tensor
    distances: Tensor


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


def _mini_batches(points: Tensor, centres: Tensor, rng: np.random.Generator) -> Tensor:
    """Centres (K, E) moved to the running means of what each one meets in a few passes over random batches."""
    centres, counts = centres.clone(), torch.zeros(len(centres), 1)
    for _ in range(MINI_PASSES):
        for batch in torch.from_numpy(rng.permutation(len(points))).split(MINI_BATCH):
            chunk = points[batch]
            assigned = _nearest(chunk, torch.zeros(len(chunk)), centres).assigned
            met = torch.bincount(assigned, minlength=len(centres))[:, None]
            sums = torch.zeros_like(centres).index_add_(0, assigned, chunk)
            counts += met
            centres += (sums - met * centres) / counts.clamp_min(1)
    return centres


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
