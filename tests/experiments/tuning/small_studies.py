"""A study of a search that costs nothing: its settings, and the row that follows from a trial's overrides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from promise import configs
from promise.experiments.tuning.settings import Settings
from promise.experiments.tuning.space import Space
from promise.experiments.tuning.study import Asked, Study

SPACE: dict[str, Any] = {
    "search": ["plain", "guided"],
    "search.width": {"type": "int", "low": 10, "high": 100, "log": True},
    "search.expansion": {"type": "float", "low": 1, "high": 10, "log": True, "when": {"search": "guided"}},
    "search.weight": {"type": "float", "low": 0, "high": 1, "step": 0.1, "when": {"search": "guided"}},
}
ONE = {"objectives": ["recall@10"]}


def space(**entries: Any) -> Space:
    """A space as a config describes it; dots are written as double underscores."""
    return Space({name.replace("__", "."): entry for name, entry in entries.items()}, "space")


def settings(**changes: Any) -> Settings:
    """The settings of conf/study/optuna.yaml with the space above, but for the changes."""
    given = yaml.safe_load(configs.option_path("study", "optuna").read_text("utf-8"))
    return Settings.of({**given, "space": SPACE, **changes}, "sweep.study")


def begun(folder: Path, seed: int = 0, retry_failed: bool = False, **changes: Any) -> Study:
    """A study in a folder that has begun."""
    return Study(settings(**changes), "mine", folder, seed, {"seed": seed}, retry_failed)


def row(words: Sequence[str]) -> dict[str, Any]:
    """Accuracy grows with the candidates and with trust of 0.8 in the reward, cost with the beams."""
    dials = dict(word.split("=") for word in words)
    width, weight = int(dials["search.width"]), float(dials.get("search.weight", 0))
    candidates = width * float(dials.get("search.expansion", 1))
    gain = 1 - (weight - 0.8) ** 2 if dials.get("search") == "guided" else 0
    return {
        "search": dials.get("search"), "search.width": width, "split": "validation", "users": 1000,
        "recall@10": 0.05 + 0.04 * gain * min(1, candidates / 200), "flops_per_user": 3e6 * width, "seconds": 1.0,
    }  # fmt: skip


def launch(trials: Sequence[Asked]) -> list[dict[str, Any] | Exception]:
    """Runs trials."""
    return [row(asked.overrides) for asked in trials]
