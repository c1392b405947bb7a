"""`promise prepare`: raw interactions become histories, item embeddings and semantic IDs."""

from typing import Any

from omegaconf import DictConfig

from promise.data.card import card_lines
from promise.pipeline.files import require_writable
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, show


def run(cfg: DictConfig) -> dict[str, Any]:
    """Build what is missing and report what there is."""
    require_writable("store", cfg.store, cfg.store)
    pipeline = Pipeline(cfg)
    ids, facts = pipeline.ids, pipeline.data.manifest
    _ = pipeline.content, pipeline.cooccurrence
    data = {name: facts[name] for name in ("users", "items", "interactions", "dropped_users", "texts")}
    show("Data", list(data), [list(data.values())])
    card = facts["card"]
    if len(card["steps"]) > 1:
        show("Steps", list(card["steps"][0]), [list(step.values()) for step in card["steps"]])
    show("Dataset card", ("", ""), card_lines(card))
    quality = ids.quality
    used = quality.get("codes_used") or [None] * len(ids.level_sizes)
    entropy = quality.get("entropy_bits") or [None] * len(ids.level_sizes)
    show(
        f"Semantic IDs {ids.fingerprint}: {len(ids.codes):,} items, {len(ids.level_sizes)} levels",
        ["level", "codes", "used", "entropy (bits)", "prefixes"],
        [
            [level, size, codes, bits, nodes]
            for level, (size, codes, bits, nodes) in enumerate(
                zip(ids.level_sizes, used, entropy, pipeline.trie.nodes[1:], strict=True), start=1
            )
        ],
    )
    if quality:
        names = ("collision_rate_before", "collision_rate_after", "largest_bucket", "moved")
        show("Collisions", names, [[quality[name] for name in names]])
    return {
        "verb": "prepare",
        "data": data,
        "card": card,
        "ids": {"fingerprint": ids.fingerprint, "level_sizes": list(ids.level_sizes), **quality},
        "trained": pipeline.built,
        "paths": {"data": str(pipeline.data.path), "ids": str(pipeline.ids_path)},
    }


main = app(run)
