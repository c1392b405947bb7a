"""The quality of semantic IDs as `promise prepare` and `promise ids report` show it: one table, and advice in words."""

from typing import Any

from promise.ids.quality import LIST_LENGTH, advice
from promise.ids.semantic_ids import SemanticIds
from promise.pipeline.verb import show

#: Column of the table -> list of the report, one entry per level.
COLUMNS = {
    "codes": "level_sizes",
    "used": "codes_used",
    "dead": "dead_codes",
    "entropy (bits)": "entropy_bits",
    "perplexity": "perplexity",
    "Gini": "gini",
    "variance left": "distortion",
    "purity": "purity",
    "prefixes": "prefixes",
    "same as before": "next_share",
    "× chance": "next_lift",
    f"Markov HRecall@{LIST_LENGTH}": "markov_recall",
}


def show_quality(ids: SemanticIds) -> None:
    """Print the table of the levels, the collisions, and the advice, as far as the IDs hold a report."""
    quality: dict[str, Any] = {"level_sizes": list(ids.level_sizes), **ids.quality}
    if "next_share" in quality:
        pairs = zip(quality["next_share"], quality["next_chance"], strict=True)
        quality["next_lift"] = [share / chance if chance else None for share, chance in pairs]
    shown = {column: quality[name] for column, name in COLUMNS.items() if name in quality}
    levels = range(len(ids.level_sizes))
    show(
        f"Semantic IDs {ids.fingerprint}: {len(ids.codes):,} items, {len(levels)} levels",
        ["level", *shown],
        # an extra level has no codewords, so no distortion
        [[level + 1, *(each[level] if level < len(each) else None for each in shown.values())] for level in levels],
    )
    names = ("collision_rate_before", "collision_rate_after", "largest_bucket", "moved")
    cells = {name: quality[name] for name in names if name in quality}
    if "distortion" in quality:
        cells |= {"variance_left": quality["distortion"][-1], "after_repair": quality["distortion_after"]}
    if cells:
        show("Collisions", list(cells), [list(cells.values())])
    for sentence in advice({"levels": len(levels), **quality}):
        print(f"- {sentence}")
