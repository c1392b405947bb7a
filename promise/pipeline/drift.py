"""`analysis=drift`: what a plain beam loses and a guided one keeps, as tables, a CSV file and a figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch

from promise.metrics.intervals import mean_interval
from promise.metrics.rescue import calibration_error, median_interval
from promise.pipeline.files import written_whole
from promise.pipeline.points import Point
from promise.pipeline.trainer import make_trainer
from promise.pipeline.verb import show
from promise.search.guided import GuidedSearch
from promise.search.options import Level
from promise.tasks.drift import JUDGES, LISTED, SEARCHES, DriftRecorder

#: Dials that turn any beam search into the plain one of the same width.
PLAIN = {
    "expansion": 1,
    "candidates": None,
    "weight": 0.0,
    "fusion": None,
    "rerank": False,
    "shuffle_rewards": False,
    "adaptive": "none",
}

#: Whether the greedy path is right at a level and up to it, and whether the true code is the likeliest after true ones.
LOST = pl.when(pl.col("first_error") < pl.col("depth"))
PER_LEVEL = {
    "teacher_forced": pl.col("teacher_forced"),
    "free_running": pl.col("free_running"),
    "free_running_prefix": pl.col("first_error") > pl.col("depth"),
    "first_error": pl.col("first_error") == pl.col("depth"),
    "after_error_free_running": LOST.then("free_running"),
    "after_error_teacher_forced": LOST.then("teacher_forced"),
}

#: Whose truth the searches still have, at a level or in the final lists, and whom guidance rescues and damages.
COMPARED = {
    **{f"hrecall_{search}": pl.col(search) for search in SEARCHES},
    "rescue": pl.col("guided") & ~pl.col("plain"),
    "damage": pl.col("plain") & ~pl.col("guided"),
    "net_rescue": pl.col("guided").cast(pl.Int8) - pl.col("plain").cast(pl.Int8),
}

#: Columns of the CSV file, in order.
COLUMNS = ("dataset", "split", "seed", "seen", "users", "W", "C", "depth", "measure", "value", "low", "high")

#: Headings of the shown tables -> their measures.
TABLES = {
    "Accuracy per level (greedy; a code after a wrong prefix names another part of the catalogue)": tuple(PER_LEVEL),
    "True prefix kept": tuple(COMPARED),
    "True prefix among the candidates, and its place there": (
        "proposal_recall",
        *(f"{judge}_{name}" for name in ("median_rank", "mrr") for judge in JUDGES),
    ),
    "Judges of the candidates (ECE: calibration error of the softmax at the favourite)": (
        *(f"{judge}_{name}" for name in ("top_width", "ece") for judge in JUDGES),
    ),
}


class Measure(NamedTuple):
    """One figure of the analysis."""

    depth: int | None  # 1..L; None = the final lists, or all depths
    name: str  # as in the CSV file
    users: int  # users that it is over
    value: float
    low: float | None = None  # lower end of its bootstrap interval over users; None = it has none
    high: float | None = None  # upper end


def analyse_drift(point: Point) -> dict[str, Any]:
    """Let the guided search of a point and its rivals run, measure, show and write; the verb's JSON without its name.

    Raises:
        ValueError: If the trainer has several processes, or the networks lack a reward model.
    """
    from promise.analysis.plots.drawing import save_figure  # after the checks: matplotlib takes its time
    from promise.analysis.plots.drift import drift_figure

    record, levels = recorded(point)
    users = record["user"].n_unique()
    names, cfg = point.names(), point.pipeline.cfg
    measures = list(measured(record, [level.width for level in levels]))
    table = as_table(measures, names, levels)
    run = "-".join(map(str, (point.choices["data"], names["split"], names["seed"])))
    folder = Path(cfg.store) / "analyses" / "drift" / f"{run}-{point.path.stem}"
    path = folder / "drift.csv"
    with written_whole(path) as part:
        table.write_csv(part)
    svg, png = save_figure(drift_figure(table), folder / "drift")
    show_measures(measures, len(levels), f"{names['data']}, {names['split']} targets of {users:,} users")
    dials = ("search", "generator", "reward", "training")
    return {
        "analysis": "drift",
        **{name: names[name] for name in ("split", "seed", "seen")},
        "users": users,
        "dials": {name: value for name, value in names.items() if name in dials or name.startswith("search.")},
        "measures": by_name(measures, len(levels)),
        "trained": point.pipeline.built,
        "paths": {"table": str(path), "figure": str(png), "figure_svg": str(svg)},
    }


def recorded(point: Point) -> tuple[pl.DataFrame, list[Level]]:
    """What the searches did over the users (`DriftRecorder.result`), and what the guided one does at each level."""
    pipeline, cfg = point.pipeline, point.pipeline.cfg
    trainer = make_trainer(cfg, precision=cfg.evaluation.precision, default_root_dir=cfg.store)
    if trainer.world_size > 1:
        raise ValueError(f"analysis=drift runs in one process, got {trainer.world_size}: use trainer.devices=1")
    guided, beam = searches(point, trainer.strategy.root_device)
    task = DriftRecorder(guided=guided, plain=beam, generator=pipeline.networks[0], trie=pipeline.trie)
    trainer.test(task, datamodule=pipeline.datamodule(cfg.evaluation.users), verbose=False)
    return task.result(), guided.levels


def searches(point: Point, device: torch.device) -> tuple[GuidedSearch, GuidedSearch]:
    """The search of a point, ready on a device, and a plain beam search of the same width."""
    return point.make_ranker(device), point.make_ranker(device, **PLAIN)


def measured(record: pl.DataFrame, widths: list[int]) -> Iterator[Measure]:
    """All measures of what was recorded (see `DriftRecorder.result`) by a guided search of W beams at each level."""
    for depth, width in enumerate(widths, 1):
        here = record.filter(depth=depth)
        for name, value in (PER_LEVEL | COMPARED | {"proposal_recall": pl.col("proposed")}).items():
            if len(values := here.select(value).to_series().drop_nulls()):
                yield mean(depth, name, values)
        for judge in JUDGES:
            if len(known := here.filter(pl.col(f"{judge}_rank").is_not_null())):
                names = (f"{judge}_{column}" for column in ("rank", "confidence", "right"))
                yield from judged(depth, judge, width, *map(known.get_column, names))
    final = record.filter(pl.col("depth").is_null())
    yield mean(None, "no_error", final["first_error"] > len(widths))
    for name, value in COMPARED.items():
        yield mean(None, final_name(name), final.select(value).to_series())


def judged(
    depth: int, judge: str, width: int, ranks: pl.Series, confidence: pl.Series, right: pl.Series
) -> Iterator[Measure]:
    """How well a judge knows the true prefix of users (n,) for whom it is a candidate."""
    yield Measure(depth, f"{judge}_median_rank", len(ranks), *median_interval(ranks))
    yield mean(depth, f"{judge}_mrr", 1 / ranks)
    yield mean(depth, f"{judge}_top_width", ranks <= width)
    # A resample's is larger: no interval.
    yield Measure(depth, f"{judge}_ece", len(ranks), calibration_error(confidence, right))


def mean(depth: int | None, name: str, values: pl.Series) -> Measure:
    """The mean over users (n,), with its interval."""
    interval = mean_interval(values)
    return Measure(depth, name, len(values), interval.mean, interval.low, interval.high)


def as_table(measures: list[Measure], names: dict[str, Any], levels: list[Level]) -> pl.DataFrame:
    """The measures in long form, with what they are of; W and C are those of the depth, or of the last level."""
    where, rows = [names[name] for name in ("data", "split", "seed", "seen")], []
    for depth, name, users, *figures in measures:
        level = levels[(depth or len(levels)) - 1]
        rows.append((*where, users, level.width, level.candidates, depth, name, *figures))
    types = {"depth": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema=list(COLUMNS), schema_overrides=types, orient="row")


def by_name(measures: list[Measure], levels: int) -> dict[str, Any]:
    """Values by name, one per level where they have a depth (None = not measured there)."""
    found: dict[str, Any] = {}
    for measure in measures:
        if measure.depth is None:
            found[measure.name] = measure.value
        else:
            found.setdefault(measure.name, [None] * levels)[measure.depth - 1] = measure.value
    return found


def show_measures(measures: list[Measure], levels: int, title: str) -> None:
    """Print the tables, a row for each level and one for the whole path or the final lists."""
    values = by_name(measures, levels)
    print(f"\n{title}")
    for heading, columns in TABLES.items():
        there = [name for name in columns if name in values]
        rows = [[str(depth), *(values[name][depth - 1] for name in there)] for depth in range(1, levels + 1)]
        final = [values.get(final_name(name)) for name in there]
        if any(value is not None for value in final):
            rows.append(["no error" if "first_error" in there else f"top {LISTED}", *final])
        show(heading, ["level", *(name.replace("_", " ") for name in there)], rows)


def final_name(name: str) -> str:
    """Name of a measure per level when it is of the whole path or the final list."""
    if name == "first_error":
        return "no_error"
    return name.replace("hrecall", f"recall@{LISTED}") if "hrecall" in name else f"{name}@{LISTED}"
