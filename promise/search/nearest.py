"""The largest entries of every row of a sparse matrix, block by block, so that memory does not grow with the rows."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from promise.ids.progress import progress

#: Entries, or products of two of them, held at once.
ENTRIES_AT_ONCE = 1 << 24


def row_blocks(entries: NDArray[np.integer], what: str) -> Iterator[slice]:
    """Blocks of rows of few enough entries together, with a progress bar on stderr.

    Args:
        entries: (I,) of each row.
        what: is done, for the bar.
    """
    block = np.cumsum(entries, dtype=np.int64) // ENTRIES_AT_ONCE
    starts = np.append(np.flatnonzero(np.diff(block, prepend=-1)), len(entries)).tolist()
    blocks = [slice(first, last) for first, last in pairwise(starts)]
    return progress(blocks, what, [block.stop - block.start for block in blocks], "items")


def largest(
    lengths: NDArray[np.integer], columns: NDArray[np.integer], values: NDArray, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The `count` largest positive entries of every row, from the largest; of equal ones the lower columns.

    Args:
        lengths: (R,) entries of each row.
        columns: (n,) of the entries, row by row.
        values: (n,) of the entries.
        count: Entries that are wanted.

    Returns:
        Of every chosen entry its place in (n,), its row, and its rank among those of its row, from 0.
    """
    least = np.zeros(len(lengths), values.dtype)
    ends = np.cumsum(lengths)
    for row in np.flatnonzero(lengths > count).tolist():
        least[row] = np.partition(values[ends[row] - lengths[row] : ends[row]], -count)[-count]
    rows = np.repeat(np.arange(len(lengths)), lengths)
    chosen = np.flatnonzero((values >= least[rows]) & (values > 0))  # with all that equal the last
    chosen = chosen[np.lexsort((columns[chosen], -values[chosen], rows[chosen]))]
    rows = rows[chosen]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    first = ranks < count
    return chosen[first], rows[first], ranks[first]


def cosines(words: sparse.csr_matrix, left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.floating]:
    """Products (n,) of the rows `left` (n,) and `right` (n,) of a matrix whose rows have length 1 or 0."""
    return np.asarray(words[left].multiply(words[right]).sum(1)).ravel()
