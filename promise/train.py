"""`promise train`: the generator and its process reward model, jointly, in stages, or the generator alone."""

from typing import Any

from omegaconf import DictConfig

from promise.pipeline.stages import Pipeline
from promise.pipeline.store import MANIFEST
from promise.pipeline.verb import app, choices, show


def run(cfg: DictConfig) -> dict[str, Any]:
    """Train what is missing and report what there is."""
    pipeline = Pipeline(cfg)
    generator, reward = pipeline.networks
    parameters = {"generator": sum(p.numel() for p in generator.parameters())}
    if reward is not None:
        parameters["reward"] = sum(p.numel() for p in reward.parameters())
    found = pipeline.store.find(pipeline.checkpoint.parent.name) if cfg.checkpoint is None else None
    facts = found.manifest if found else {}
    names = ("epochs", "best_epoch", "validation_recall@10", "training_seconds")
    training = {name: facts[name] for name in names if name in facts}
    chosen = choices()
    show(
        f"Networks: generator={chosen['generator']} reward={chosen['reward']} training={chosen['training']}",
        [*(f"{name} parameters" for name in parameters), *training],
        [[*parameters.values(), *training.values()]],
    )
    return {
        "verb": "train",
        "seed": cfg.seed,
        "parameters": parameters,
        "training": training,
        "trained": pipeline.built,
        "paths": {
            "checkpoint": str(pipeline.checkpoint),
            "ids": str(pipeline.ids_path),
            "manifest": str(pipeline.checkpoint.with_name(MANIFEST)) if found else None,
        },
    }


main = app(run)
