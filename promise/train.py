"""`promise train`: the generator and its process reward model, jointly, in stages, or the generator alone."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from promise.pipeline.overrides import placeless
from promise.pipeline.stages import Pipeline
from promise.pipeline.store import MANIFEST
from promise.pipeline.verb import app, choices, show

#: Groups whose options a model's rows are named by.
OPTIONS = ("generator", "reward", "training")


def run(cfg: DictConfig) -> dict[str, Any]:
    """Train what is missing and report what there is; every step is in the store once it is done."""
    pipeline = Pipeline(cfg)
    facts: dict[str, Any] = {}
    manifest: Path | None = None
    if pipeline.given is None:
        _ = pipeline.histories  # 1. data: instantiate(cfg.data).read(), split
        _ = pipeline.ids  # 2. semantic IDs: instantiate(cfg.embeddings).embed(…), instantiate(cfg.ids).fit(…)
        # 3. networks, 4. task and trainer, 5. fit: `TrainingStage.fit` in promise/pipeline/trainings.py, stage by stage
        _, artifact = pipeline.trained_networks
        facts, manifest = artifact.manifest, artifact.path / MANIFEST
    generator, reward = pipeline.networks
    parameters = {"generator": sum(p.numel() for p in generator.parameters())}
    if reward is not None:
        parameters["reward"] = sum(p.numel() for p in reward.parameters())
    names = ("epochs", "best_epoch", "validation_recall@10", "training_seconds")
    training = {name: facts[name] for name in names if name in facts}
    chosen = choices()
    show(
        "Networks: " + " ".join(f"{group}={chosen[group]}" for group in OPTIONS),
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
            "model": str(model_folder(pipeline, chosen, HydraConfig.get().overrides.task)),
            "ids": str(pipeline.ids_path),
            "manifest": None if manifest is None else str(manifest),
        },
    }


def model_folder(pipeline: Pipeline, chosen: dict[str, str], words: Iterable[str] | None = None) -> Path:
    """The folder that holds the trained model and all that its answers depend on; the given one, if there is one.

    Names of the options, by group, and the overrides, without paths, are kept with it; None = not known.
    """
    model = pipeline.model
    if pipeline.given is not None:
        return model.weights.parent
    columns = {name: pipeline.cfg.data[name] for name in ("user", "item", "time") if pipeline.cfg.data.get(name)}
    made_of = {
        "options": {group: chosen[group] for group in OPTIONS},
        "dataset": {"name": chosen["data"], "card": pipeline.data.manifest["card"], "columns": columns},
        **({} if words is None else {"overrides": list(placeless(words).values())}),
    }
    return replace(model, origin={**model.origin, **made_of}).save(Path(pipeline.cfg.store) / "models")


main = app(run)
