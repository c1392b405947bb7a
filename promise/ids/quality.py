"""quality_report: how well semantic IDs separate the items, how evenly they use their codes, what they foretell."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise.ids.next_purchase import Purchases, agreement, markov_recall
from promise.ids.semantic_ids import prefix_numbers

CHUNK = 2**14  # items whose residuals are held at once
LIST_LENGTH = 20  # k of the Markov model's HRecall@k: the usual number of beams

# What advice is given from: shares of the items that share a path, or moved; shares of a level's codes that are dead,
# or that equal codes of its perplexity would be; how often consecutive purchases share a code, over chance;
# prefixes before the last level over items.
MANY_SHARED, MANY_MOVED, FEW_DEAD, UNEVEN, LITTLE, APART = 0.3, 0.05, 0.05, 0.5, 1.5, 0.9


def quality_report(
    before: NDArray[np.int32],
    after: NDArray[np.int32],
    level_sizes: Sequence[int],
    moved: int,
    *,
    vectors: NDArray[np.float32] | None = None,
    codebooks: Sequence[NDArray[np.float32]] = (),
    purchases: Purchases | None = None,
    categories: NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Says how well a set of semantic IDs separates the items and how evenly it uses its codes.

    Args:
        before: (I, L') the quantiser's own codes, in which items may share a path.
        after: (I, L) the final codes.
        level_sizes: (L,) sizes of the final levels.
        moved: items that had to leave their own path because it was full.
        vectors: (I, E) embeddings of the items; None leaves the distortion out.
        codebooks: L' arrays (K_b, E), codewords of the levels of `before`.
        purchases: consecutive purchases; None, or none to count or to predict, leaves next purchases out.
        categories: (I,) numbers >= 0, -1 for an item without one; None, or none at all, leaves the purity out.

    Returns:
        JSON-able. Numbers: items; levels, own_levels of which are the quantiser's; collision_rate_before and
        _after, the share of items in [0, 1] that share their path with another (the others have an ID of their
        own); largest_bucket, items on the fullest path before; moved. Lists, one entry per level of `after`:
        level_sizes; codes_used; dead_codes; entropy_bits, 0 .. log2(level size); perplexity, the number of equally
        frequent codes of that entropy; gini of the items per code, 0 (all alike) .. 1; prefixes in use. Where there
        is what they need: distortion, the share of the embeddings' variance that is left over after each level of
        `before`, and distortion_after for the final paths without an extra level; next_share and next_chance, how
        often two consecutive purchases share a prefix, and would by chance; markov_recall, see `markov_recall`, of
        LIST_LENGTH prefixes; purity, the share of items in the commonest category of their prefix.
    """
    counts = [np.bincount(column, minlength=size) for column, size in zip(after.T, level_sizes, strict=True)]
    shares = [count[count > 0] / len(after) for count in counts]
    entropies = [max(0.0, float(-(share * np.log2(share)).sum())) for share in shares]
    buckets, nodes = np.bincount(prefix_numbers(before)[-1]), prefix_numbers(after)[1:]
    report: dict[str, Any] = {
        "items": len(after),
        "levels": after.shape[1],
        "own_levels": before.shape[1],
        "level_sizes": [int(size) for size in level_sizes],
        "collision_rate_before": _collision_rate(buckets),
        "collision_rate_after": _collision_rate(np.bincount(nodes[-1])),
        "largest_bucket": int(buckets.max()),
        "moved": int(moved),
        "codes_used": [len(share) for share in shares],
        "dead_codes": [int((count == 0).sum()) for count in counts],
        "entropy_bits": entropies,
        "perplexity": [2.0**bits for bits in entropies],
        "gini": [gini(count) for count in counts],
        "prefixes": [int(each.max()) + 1 for each in nodes],
    }
    if vectors is not None:
        report["distortion"] = left_over(vectors, before, codebooks)
        report["distortion_after"] = left_over(vectors, after[:, : len(codebooks)], codebooks)[-1]
    if purchases is not None and len(purchases.training) and len(purchases.held_out):
        found = [agreement(each, purchases.training) for each in nodes]
        report["next_share"], report["next_chance"] = (list(side) for side in zip(*found, strict=True))
        report["markov_recall"] = [markov_recall(each, purchases, LIST_LENGTH) for each in nodes]
    if categories is not None and (categories >= 0).any():
        report["purity"] = [purity(each, categories) for each in nodes]
    return report


def gini(counts: NDArray[np.int64]) -> float:
    """Gini coefficient of counts (K,), not all 0: 0 where they are equal, 1 - 1 / K where one has all."""
    ordered, size = np.sort(counts), len(counts)
    return float(((2 * np.arange(1, size + 1) - size - 1) * ordered).sum() / (size * ordered.sum()))


def left_over(
    vectors: NDArray[np.float32], codes: NDArray[np.int32], codebooks: Sequence[NDArray[np.float32]]
) -> list[float]:
    """The share of the variance of vectors (I, E) that is left over after each of the L levels of codes (I, L).

    All 0 where the vectors have no variance. Greater than 1 where codewords fit worse than the mean does.
    """
    mean, whole, left = vectors.mean(axis=0, dtype=np.float64), 0.0, np.zeros(len(codebooks))
    for begin in range(0, len(vectors), CHUNK):
        residual = vectors[begin : begin + CHUNK].astype(np.float64)
        whole += float(np.square(residual - mean).sum())
        for level, codebook in enumerate(codebooks):
            residual -= codebook[codes[begin : begin + CHUNK, level]]
            left[level] += np.square(residual).sum()
    return (left / whole).tolist() if whole else [0.0] * len(codebooks)


def purity(nodes: NDArray[np.int64], categories: NDArray[np.int64]) -> float:
    """Share of the items with a category (I,), -1 for none, that have the commonest one of their prefix (I,)."""
    known = categories >= 0
    size = int(categories.max()) + 1
    keys, times = np.unique(nodes[known] * size + categories[known], return_counts=True)
    commonest = np.zeros(int(nodes.max()) + 1, dtype=np.int64)
    np.maximum.at(commonest, keys // size, times)
    return float(commonest.sum() / known.sum())


def advice(quality: dict[str, Any]) -> list[str]:
    """What a report says in words: one sentence for everything that stands out; none where all is well."""
    said = []
    shared, moved = quality.get("collision_rate_before", 0), quality.get("moved", 0)
    if shared > MANY_SHARED:
        said.append(
            f"{100 * shared:.0f} % of the items share a path: raise ids.codes or ids.levels, "
            "or set ids.balance=last_level"
        )
    own = quality.get("own_levels", quality["levels"])
    if own < quality["levels"] and moved > MANY_MOVED * quality["items"]:
        said.append(f"{moved:,} items had to leave a full path: raise ids.codes or ids.levels")
    before = quality["prefixes"][own - 2] if own > 1 and "prefixes" in quality else 0
    if before > APART * quality.get("items", before):
        said.append(
            f"level {own - 1} has {before:,} prefixes for {quality['items']:,} items, so level {own} decides little: "
            "lower ids.codes or ids.levels"
        )
    # the extra level only numbers the items of a path
    for level in range(min(own, len(quality.get("dead_codes", ())))):
        dead, spread, size = (quality[name][level] for name in ("dead_codes", "perplexity", "level_sizes"))
        if dead > FEW_DEAD * size:
            said.append(f"level {level + 1} leaves {dead} of {size} codes unused: lower ids.codes")
        elif spread < UNEVEN * size:
            said.append(f"level {level + 1} spreads the items like {spread:.0f} equal codes, not {size}")
    share, chance = (quality[name][0] if name in quality else 0.0 for name in ("next_share", "next_chance"))
    if chance and share < LITTLE * chance:
        times = f"{share / chance:.1f} times"
        said.append(f"consecutive purchases share the first code {times} as often as by chance: try other embeddings")
    return said


def _collision_rate(buckets: NDArray[np.int64]) -> float:
    return float(buckets[buckets > 1].sum() / buckets.sum())
