"""`promise bench`: the verb; which measurements there are, which of them to make, and what comes of them."""

import importlib
import itertools
import logging
import time
from pathlib import Path
from typing import Any

import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from promise.bench.measure import Measure, Measurement, Skipped, middle
from promise.bench.report import save, show_table, summary
from promise.pipeline.files import require_writable
from promise.pipeline.verb import app
from promise.search.options import COUNT, TRUTH, one_of, require

log = logging.getLogger(__name__)

#: What can be asked for -> the modules that measure it.
MODULES = {
    "search": ("search", "machine", "growth", "beauty"),
    "training": ("training",),
    "trie": ("trie",),
    "prepare": ("table",),
}


def measurements(what: str) -> dict[str, Measurement]:
    """Measurements by name, in their order; ValueError if there is no such part."""
    if what not in (*MODULES, "all"):
        raise ValueError(f"what must be one of {', '.join((*MODULES, 'all'))}, got {what}")
    names = [name for part, modules in MODULES.items() if what in (part, "all") for name in modules]
    found: dict[str, Measurement] = {}
    for name in names:
        found |= importlib.import_module(f"promise.bench.{name}").MEASURES
    return found


def chosen(cfg: DictConfig) -> dict[str, Measurement]:
    """The measurements that the config asks for; ValueError for a value that cannot be, before any is made."""
    dials = cfg.bench
    offered = measurements(cfg.what)
    wanted = [dials.measures] if isinstance(dials.measures, str) else dials.measures
    if wanted is not None and not wanted:
        raise ValueError("bench.measures must name a measurement, got none")
    for name in wanted or ():
        if name not in offered:
            raise ValueError(f"bench.measures must be of {', '.join(offered)}, got {name}")
    for name, rule in (
        ("repeats", COUNT),
        ("runs", COUNT),
        ("events", COUNT),
        ("quick", TRUTH),
        ("device", one_of("cpu", "cuda")),
    ):
        require(f"bench.{name}", dials[name], rule)
    if dials.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("bench.device=cuda needs a GPU, there is none")
    if dials.save is not None and Path(dials.save).suffix != ".csv":
        raise ValueError(f"bench.save must end in .csv, got {dials.save}")
    if dials.checkpoint is not None and dials.root is None:
        raise ValueError("bench.checkpoint needs bench.root, the data that it was trained on")
    for name in ("root", "checkpoint"):
        if dials[name] is not None and not Path(dials[name]).is_dir():
            raise ValueError(f"bench.{name}={dials[name]} is no folder")
    return {name: function for name, function in offered.items() if wanted is None or name in wanted}


def run(cfg: DictConfig) -> dict[str, Any]:
    """Make the measurements, show and keep them; one that fails does not take the others with it."""
    GlobalHydra.instance().clear()  # measurements compose configs of their own
    functions = chosen(cfg)
    if cfg.bench.quick:
        cfg.bench.repeats = 1
    runs: dict[str, list[Measure]] = {}
    found: list[Measure] = []
    if cfg.bench.save is not None:
        require_writable("bench.save", cfg.bench.save, Path(cfg.bench.save).parent)
    skipped: dict[str, str] = {}
    for number, (name, function) in itertools.product(range(cfg.bench.runs), functions.items()):
        log.info("measuring %s%s", name, f" ({number + 1} of {cfg.bench.runs})" if cfg.bench.runs > 1 else "")
        began = time.perf_counter()
        try:
            for measure in function(cfg):
                runs.setdefault(measure.name, []).append(measure)
        except Skipped as reason:
            skipped[name] = str(reason)
            log.warning("%s is skipped: %s", name, reason)
        except Exception as error:
            skipped[name] = f"failed: {type(error).__name__}: {error}"
            log.exception("%s failed", name)
        log.info("%s took %.0f s", name, time.perf_counter() - began)
        found = [middle(measures) for measures in runs.values()]
        if cfg.bench.save is not None:
            save(found, Path(cfg.bench.save))
    if found:
        show_table(f"promise bench what={cfg.what}{', tiny sizes' if cfg.bench.quick else ''}", found)
    return summary(found, skipped)


main = app(run, "bench")
