"""Seconds of each stage of preparation, on the simulated shop and on Amazon Beauty."""

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from omegaconf import DictConfig

from promise import configs
from promise.bench.measure import Measure, Measurement, Timing, clocked
from promise.pipeline.stages import Pipeline

#: Stages in their order -> what of a `Pipeline` builds them.
_STAGES = {"data": "data", "embeddings": "embeddings", "ids": "ids_path"}


def prepare(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds of every stage, each turn from nothing; Beauty where `bench.root` says where it is."""
    codes = ["ids.codes=8"] if cfg.bench.quick else []
    shop = ["data.users=60", "data.items=80"] if cfg.bench.quick else []
    sources = {"synthetic": ["data=synthetic", *shop, *codes]}
    if cfg.bench.root is not None:
        sources["beauty"] = ["data=amazon_beauty", f"data.root={cfg.bench.root}", *codes]
    for name, overrides in sources.items():
        turns = [built(overrides) for _ in range(cfg.bench.repeats)]
        facts = turns[0][1]
        for stage in _STAGES:
            timing = Timing(tuple(seconds[stage] for seconds, _ in turns))
            note = f"{facts['users']:,} users, {facts['items']:,} items, {facts['interactions']:,} interactions"
            yield timing.measure(f"prepare_{name}_{stage}", "s", note=note)


def built(overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of every stage of a config in an empty store, and what the data are."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Pipeline(configs.compose([*overrides, f"store={folder}"]))
        seconds = {stage: clocked(partial(getattr, pipeline, part)) for stage, part in _STAGES.items()}
        return seconds, pipeline.data.manifest


MEASURES: dict[str, Measurement] = {"prepare": prepare}
