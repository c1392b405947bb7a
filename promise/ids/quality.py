"""quality_report: how well semantic IDs separate the items and how evenly they use their codes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise.ids.semantic_ids import new_paths, path_order


def quality_report(
    before: NDArray[np.int32], after: NDArray[np.int32], level_sizes: Sequence[int], moved: int
) -> dict[str, Any]:
    """Says how well a set of semantic IDs separates the items and how evenly it uses its codes.

    Args:
        before: (I, L') the quantiser's own codes, in which items may share a path.
        after: (I, L) the final codes.
        level_sizes: (L,) sizes of the final levels.
        moved: items that had to leave their own path because it was full.

    Returns:
        JSON-able: items; levels; level_sizes; collision_rate_before and _after, the share of items in [0, 1]
        that share their path with another; largest_bucket, items on the fullest path before; codes_used per
        level; entropy_bits per level, 0 .. log2(level size); moved.
    """
    counts = [np.bincount(column, minlength=size) for column, size in zip(after.T, level_sizes, strict=True)]
    shares = [count[count > 0] / len(after) for count in counts]
    buckets = bucket_sizes(before)
    return {
        "items": len(after),
        "levels": after.shape[1],
        "level_sizes": [int(size) for size in level_sizes],
        "collision_rate_before": _collision_rate(buckets),
        "collision_rate_after": _collision_rate(bucket_sizes(after)),
        "largest_bucket": int(buckets.max()),
        "codes_used": [int((count > 0).sum()) for count in counts],
        "entropy_bits": [max(0.0, float(-(share * np.log2(share)).sum())) for share in shares],
        "moved": int(moved),
    }


def bucket_sizes(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """Counts the items of each distinct path: (I, L) codes -> (paths,), paths in lexicographic order."""
    starts = np.flatnonzero(new_paths(codes[path_order(codes)]))
    return np.diff(starts, append=len(codes))


def _collision_rate(buckets: NDArray[np.int64]) -> float:
    return float(buckets[buckets > 1].sum() / buckets.sum())
