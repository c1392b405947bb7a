"""`promise evaluate`: one search on trained networks, measured on one split beside the count baselines."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from promise import configs
from promise.analysis.units import flops_text
from promise.pipeline.checks import check_judge
from promise.pipeline.drift import analyse_drift
from promise.pipeline.files import require_writable
from promise.pipeline.points import KS, METRICS, Point, PointResult
from promise.pipeline.predictions import write_predictions
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, choices, show

BASELINES = ("popularity", "co_visit")
SHOWN = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in KS)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Rank, measure, compare."""
    check_judge(cfg)
    if cfg.predictions is not None:
        require_writable("predictions", cfg.predictions, Path(cfg.predictions).parent)
    pipeline = Pipeline(cfg)
    chosen = choices()
    point = Point(pipeline, cfg.search, chosen)
    if cfg.analysis is not None:
        return {"verb": "evaluate", **analyse_drift(point)}
    result, found = point.result(keep_answers=cfg.predictions is not None)
    paths = {"row": str(result.path)}
    if cfg.predictions is not None and found is not None:
        write_predictions(point, found, Path(cfg.predictions))
        paths["predictions"] = str(cfg.predictions)
    baselines = {name: baseline(pipeline, name, chosen) for name in BASELINES}
    row = result.row
    show(
        f"{row['data']}, {row['split']} targets of {row['users']:,} users, past items {row['seen']}",
        ["", *SHOWN, "per user"],
        [
            [row["search"], *(row[m] for m in SHOWN), flops_text(row["flops_per_user"])],
            *([name, *(b.row[m] for m in SHOWN), None] for name, b in baselines.items() if name != row["search"]),
        ],
    )
    if levels := level_rows(row):
        show("Per level", ["level", *levels[0]], [[b, *values.values()] for b, values in enumerate(levels, 1)])
    told = {"baselines": {n: metrics(b) for n, b in baselines.items()}, "trained": pipeline.built, "paths": paths}
    return {"verb": "evaluate", **summary(result), **told}


def baseline(pipeline: Pipeline, name: str, chosen: dict[str, str]) -> PointResult:
    """A count baseline through the same evaluator."""
    search = OmegaConf.load(Path(configs.config_path()) / "search" / f"{name}.yaml")
    assert isinstance(search, DictConfig)
    return Point(pipeline, search, {**chosen, "search": name}).result()[0]


def metrics(result: PointResult) -> dict[str, float | None]:
    """Recall and NDCG of a row."""
    return {name: result.row[name] for name in METRICS}


def summary(result: PointResult) -> dict[str, Any]:
    """A row in the form of the verb's JSON."""
    row = result.row
    dials = ("search", "generator", "reward", "training")
    costs = ("flops_per_user", "decoder_tokens_per_user", "prm_paths_per_user", "seconds")
    levels = level_rows(row)
    return {
        **{name: row[name] for name in ("split", "users", "seed", "seen")},
        "dials": {name: value for name, value in row.items() if name in dials or name.startswith("search.")},
        "metrics": metrics(result),
        "intervals": {
            name: None if row[name] is None else [row[f"{name}_low"], row[f"{name}_high"]] for name in METRICS
        },
        "hrecall": [level["hrecall"] for level in levels if "hrecall" in level],
        **{name: row[name] for name in ("recall_ceiling", "certified") if name in row},
        **{name: row.get(name) for name in ("invalid_rate", "duplicate_rate", "incomplete_users", "parameters")},
        "cost": {name: row[name] for name in costs},
    }


def level_rows(row: dict[str, Any]) -> list[dict[str, float]]:
    """The figures of a row for each level: HRecall, and the accuracies when they were measured."""
    names = [name for name in ("hrecall", "teacher_forced", "free_running") if f"{name}@1" in row]
    levels: list[dict[str, float]] = []
    while names and f"{names[0]}@{len(levels) + 1}" in row:
        levels.append({name: row[f"{name}@{len(levels) + 1}"] for name in names})
    return levels


main = app(run)
