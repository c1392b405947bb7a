"""Code paths for vectors: the nearest ones by beam search, codewords for given ones, and distinct last codes."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from promise.ids.progress import progress
from promise.ids.semantic_ids import prefix_numbers

CHUNK = 512  # vectors searched for at once: their candidates stay in the cache
CROWD = 4  # items per last code up to which a parent's items are dealt anew
DETOUR = 0.7  # what a quantizer lets a distinct last code add to an item's squared error, as a share of the mean one
RIDGE = 1e-3  # items' worth of pull to 0 that a codeword feels: levels can shift a constant between them

Codebooks = Sequence[NDArray[np.float32]]


def nearest_paths(
    vectors: NDArray[np.float32], codebooks: Codebooks, width: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The paths whose codewords sum to nearly each vector, by a beam search level by level.

    Args:
        vectors: (I, E).
        codebooks: L arrays (K_b, E).
        width: beams kept after each level, >= 1; 1 takes the nearest codeword at every level.

    Returns:
        Paths (I, M, L), the nearest first, M = width where there are as many paths; squared distances (I, M).
    """
    tables = [torch.from_numpy(np.ascontiguousarray(each)) for each in codebooks]
    halves = [table.square().sum(1) / 2 for table in tables]
    # |x - a - b|^2 / 2 = |x|^2 / 2 + (|a|^2 / 2 - x a) + (|b|^2 / 2 - x b) + a b
    between = [[above @ table.T for above in tables[:level]] for level, table in enumerate(tables)]
    paths, distances = [], []
    for chunk in progress(torch.from_numpy(vectors).split(CHUNK), "nearest paths"):
        costs = chunk.square().sum(1, keepdim=True) / 2  # (n, M)
        chosen: list[Tensor] = []  # of each level so far (n, M)
        for table, half, products in zip(tables, halves, between, strict=True):
            grown = costs[:, :, None] + torch.addmm(half, chunk, table.T, alpha=-1)[:, None]  # (n, M, K)
            for codes, product in zip(chosen, products, strict=True):
                grown += product[codes]
            costs, places = grown.flatten(1).topk(min(width, grown[0].numel()), dim=1, largest=False)
            parents = places // len(table)
            chosen = [codes.gather(1, parents) for codes in chosen] + [places % len(table)]
        paths.append(torch.stack(chosen, dim=2).int())
        distances.append(costs.clamp_min(0) * 2)
    return torch.cat(paths).numpy(), torch.cat(distances).numpy()


def reconstruct(codes: NDArray[np.int32], codebooks: Codebooks) -> NDArray[np.float32]:
    """The sums of codewords along paths: (P, L) -> (P, E); without a level, one row of 0 for each."""
    points = np.zeros((len(codes), codebooks[0].shape[1]), dtype=np.float32)
    for column, codebook in zip(codes.T, codebooks, strict=False):
        points += codebook[column]
    return points


def spread(
    vectors: NDArray[np.float32], codes: NDArray[np.int32], codebooks: Codebooks, detour: float = math.inf
) -> NDArray[np.int32]:
    """Gives the items of each parent, the path without its last code, distinct last codes.

    Where the last codes of a parent's items differ, they stay. Otherwise they are dealt anew so that the squared
    errors sum to the least (the assignment problem); of more items than codes no more share one than must. A parent
    of more than CROWD items per code stays as it is: it needs more levels, and the work grows with the cube.

    Args:
        vectors: (I, E).
        codes: (I, L), L >= 1.
        codebooks: L arrays (K_b, E).
        detour: what a new code may add to an item's squared error, as a share of the mean one; beyond, its own stays.

    Returns:
        (I, L), the same but for last codes.
    """
    before, codes, table = codes, codes.copy(), codebooks[-1].astype(np.float64)
    parents, halves = prefix_numbers(codes[:, :-1])[-1], np.square(table).sum(axis=1) / 2
    residual = vectors - reconstruct(codes[:, :-1], codebooks)
    order = np.argsort(parents, kind="stable")
    for items in np.split(order, np.cumsum(np.bincount(parents))[:-1]):
        if len(np.unique(codes[items, -1])) < len(items) <= CROWD * len(table):
            costs = halves - residual[items].astype(np.float64) @ table.T
            rows, columns = linear_sum_assignment(np.tile(costs, (1, -(-len(items) // len(table)))))
            codes[items[rows], -1] = columns % len(table)
    if detour < math.inf:
        errors, least = (np.square(residual - codebooks[-1][each[:, -1]]).sum(axis=1) for each in (codes, before))
        too_far = errors - least > detour * least.mean()
        codes[too_far] = before[too_far]
    return codes


def refitted(
    vectors: NDArray[np.float32], codes: NDArray[np.int32], level_sizes: Sequence[int]
) -> list[NDArray[np.float32]]:
    """The codewords, L arrays (K_b, E), whose sums along paths (I, L) leave the least squared error of vectors (I, E).

    They are of all levels at once; a code without items gets a codeword of 0.
    """
    offsets = np.cumsum([0, *level_sizes])
    ends = np.arange(0, codes.size + 1, codes.shape[1])
    taken = sparse.csr_matrix(
        (np.ones(codes.size, np.float32), (codes + offsets[:-1]).ravel(), ends), shape=(len(codes), offsets[-1])
    )
    counts = (taken.T @ taken).toarray().astype(np.float64)
    sums = np.asarray(taken.T @ vectors, dtype=np.float64)
    counts[np.diag_indices_from(counts)] += RIDGE
    solved = linalg.solve(counts, sums, assume_a="pos").astype(np.float32)
    return [solved[begin:end] for begin, end in pairwise(offsets)]
