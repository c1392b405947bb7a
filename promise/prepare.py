"""`promise prepare`: raw interactions become histories, item embeddings and semantic IDs."""

from typing import Any

from omegaconf import DictConfig

from promise.data.card import card_lines
from promise.pipeline.ids_report import show_quality
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, show


def run(cfg: DictConfig) -> dict[str, Any]:
    """Build what is missing and report what there is."""
    pipeline = Pipeline(cfg)
    ids, facts = pipeline.ids, pipeline.data.manifest
    _ = pipeline.content, pipeline.cooccurrence
    data = {name: facts[name] for name in ("users", "items", "interactions", "dropped_users", "texts")}
    show("Data", list(data), [list(data.values())])
    card = facts["card"]
    if len(card["steps"]) > 1:
        show("Steps", list(card["steps"][0]), [list(step.values()) for step in card["steps"]])
    show("Dataset card", ("", ""), card_lines(card))
    show_quality(ids)
    return {
        "verb": "prepare",
        "data": data,
        "card": card,
        "ids": {"fingerprint": ids.fingerprint, "level_sizes": list(ids.level_sizes), **ids.quality},
        "trained": pipeline.built,
        "paths": {"data": str(pipeline.data.path), "ids": str(pipeline.ids_path)},
    }


main = app(run)
