"""`analysis=drift`: what a plain beam loses and a guided one keeps, as tables, a CSV file and a figure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray

from promise.metrics.drift import first_error
from promise.metrics.intervals import mean_interval
from promise.metrics.rescue import median_interval, reliability, rescued
from promise.pipeline.points import Point
from promise.pipeline.store import written_whole
from promise.pipeline.trainer import make_trainer
from promise.pipeline.verb import show
from promise.search.guided import GuidedSearch
from promise.search.options import Level
from promise.tasks.drift import JUDGES, LISTED, SEARCHES, Drift, DriftRecorder

#: Dials that turn any beam search into the plain one of the same width.
PLAIN = {
    "expansion": 1,
    "candidates": None,
    "weight": 0.0,
    "rerank": False,
    "shuffle_rewards": False,
    "adaptive": "none",
}

#: Columns of the CSV file, in order.
COLUMNS = ("dataset", "split", "seed", "seen", "users", "W", "C", "depth", "measure", "value", "low", "high")

#: What the shown tables call a measure.
TABLES: dict[str, dict[str, str]] = {
    "Accuracy per level (greedy; a code after a wrong prefix names another part of the catalogue)": {
        "teacher_forced": "teacher-forced",
        "free_running": "free-running",
        "free_running_prefix": "whole path right",
        "first_error": "first error here",
        "after_error_free_running": "after an error",
        "after_error_teacher_forced": "same users, teacher-forced",
    },
    "True prefix kept": {
        "hrecall_plain": "plain",
        "hrecall_guided": "guided",
        "hrecall_oracle": "oracle",
        "rescue": "rescued",
        "damage": "damaged",
        "net_rescue": "difference",
    },
    "True prefix among the candidates, and its place there": {
        "proposal_recall": "is there",
        "reward_median_rank": "median by reward",
        "likelihood_median_rank": "by likelihood",
        "reward_mrr": "MRR by reward",
        "likelihood_mrr": "by likelihood",
    },
    "Judges of the candidates (ECE: calibration error of the softmax at the favourite)": {
        "reward_top_width": "in top W, reward",
        "likelihood_top_width": "likelihood",
        "reward_ece": "ECE, reward",
        "likelihood_ece": "likelihood",
    },
}


class Measure(NamedTuple):
    """One figure of the analysis.

    Attributes:
        depth: 1..L; None = the final lists, or all depths.
        name: As in the CSV file.
        users: Users that it is over.
        value: The figure.
        low: Lower end of its bootstrap interval over users; None = it has none.
        high: Upper end.
    """

    depth: int | None
    name: str
    users: int
    value: float
    low: float | None = None
    high: float | None = None


def analyse_drift(point: Point) -> dict[str, Any]:
    """Search, record, measure, show and write.

    Args:
        point: The guided search of the config.

    Returns:
        The verb's JSON without its name.

    Raises:
        ValueError: If the trainer has several processes, or the networks lack a reward model.
    """
    from promise.analysis.plots.drawing import save_figure  # after the checks: matplotlib takes its time
    from promise.analysis.plots.drift import drift_figure

    drift, levels = recorded(point)
    names, cfg = point.names(), point.pipeline.cfg
    measures = list(measured(drift, [level.width for level in levels]))
    table = as_table(measures, names, levels)
    folder = (
        Path(cfg.store) / "analyses" / "drift" / f"{names['data']}-{names['split']}-{names['seed']}-{point.path.stem}"
    )
    path = folder / "drift.csv"
    with written_whole(path) as part:
        table.write_csv(part)
    svg, png = save_figure(drift_figure(table), folder / "drift")
    show_measures(measures, len(levels), f"{names['data']}, {names['split']} targets of {len(drift.users):,} users")
    dials = ("search", "generator", "reward", "training")
    return {
        "analysis": "drift",
        **{name: names[name] for name in ("split", "seed", "seen")},
        "users": len(drift.users),
        "dials": {name: value for name, value in names.items() if name in dials or name.startswith("search.")},
        "measures": by_name(measures, len(levels)),
        "trained": point.pipeline.built,
        "paths": {"table": str(path), "figure": str(png), "figure_svg": str(svg)},
    }


def recorded(point: Point) -> tuple[Drift, list[Level]]:
    """Run the searches over the users of the split.

    Returns:
        What they did, and what the guided search does at each level.
    """
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


def measured(drift: Drift, widths: list[int]) -> Iterator[Measure]:
    """All measures.

    Args:
        drift: What was recorded of n users.
        widths: W of each of the L levels.
    """
    errors = first_error(torch.from_numpy(drift.free_running)).numpy()
    levels = len(widths)
    for depth, width in enumerate(widths, 1):
        here = depth - 1
        forced, free = drift.teacher_forced[:, here], drift.free_running[:, here]
        yield mean(depth, "teacher_forced", forced)
        yield mean(depth, "free_running", free)
        yield mean(depth, "free_running_prefix", errors > depth)
        yield mean(depth, "first_error", errors == depth)
        lost = errors < depth
        if lost.any():
            yield mean(depth, "after_error_free_running", free[lost])
            yield mean(depth, "after_error_teacher_forced", forced[lost])
        yield from compared(depth, {name: drift.kept[name][:, here] for name in SEARCHES})
        proposed = drift.proposed[:, here]
        yield mean(depth, "proposal_recall", proposed)
        for judge in JUDGES:
            asked = ~np.isnan(drift.ranks[judge][:, here])
            if asked.any():
                columns = (table[judge][asked, here] for table in (drift.ranks, drift.confidence, drift.right))
                yield from judged(depth, judge, width, *columns)
    yield mean(None, "no_error", errors > levels)
    yield from compared(None, drift.listed)


def compared(depth: int | None, kept: dict[str, NDArray[np.bool_]]) -> Iterator[Measure]:
    """Shares of users whose truth the searches (n,) still have, and whom guidance rescues and damages."""
    name, suffix = ("hrecall", "") if depth else (f"recall@{LISTED}", f"@{LISTED}")
    for search in SEARCHES:
        yield mean(depth, f"{name}_{search}", kept[search])
    pair = rescued(torch.from_numpy(kept["plain"]), torch.from_numpy(kept["guided"]))
    rescue, damage = (users.numpy() for users in pair)
    yield mean(depth, f"rescue{suffix}", rescue)
    yield mean(depth, f"damage{suffix}", damage)
    yield mean(depth, f"net_rescue{suffix}", rescue.astype(float) - damage)


def judged(
    depth: int,
    judge: str,
    width: int,
    ranks: NDArray[np.float64],
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
) -> Iterator[Measure]:
    """How well a judge knows the true prefix of users (n,) for whom it is a candidate."""
    yield Measure(depth, f"{judge}_median_rank", len(ranks), *median_interval(ranks))
    yield mean(depth, f"{judge}_mrr", 1 / ranks)
    yield mean(depth, f"{judge}_top_width", ranks <= width)
    bins = reliability(confidence, right)
    yield Measure(depth, f"{judge}_ece", len(ranks), bins.error)  # a resample's is larger: no interval
    for number, (users, said, was) in enumerate(zip(*bins, strict=True), 1):
        yield Measure(depth, f"{judge}_bin{number}_confidence", int(users), float(said))
        yield Measure(depth, f"{judge}_bin{number}_accuracy", int(users), float(was))


def mean(depth: int | None, name: str, values: ArrayLike) -> Measure:
    """The mean over users (n,), with its interval."""
    interval = mean_interval(values)
    return Measure(depth, name, len(np.asarray(values)), interval.mean, interval.low, interval.high)


def as_table(measures: list[Measure], names: dict[str, Any], levels: list[Level]) -> pl.DataFrame:
    """The measures in long form, with what they are of; W and C are those of the depth, or of the last level."""
    rows = []
    for measure in measures:
        level = levels[(measure.depth or len(levels)) - 1]
        where = (names["data"], names["split"], names["seed"], names["seen"])
        figures = (measure.value, measure.low, measure.high)
        rows.append((*where, measure.users, level.width, level.candidates, measure.depth, measure.name, *figures))
    types = {"depth": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema=list(COLUMNS), schema_overrides=types, orient="row")


def by_name(measures: list[Measure], levels: int) -> dict[str, Any]:
    """Values by name, one per level where they have a depth (None = not measured there); without the bins."""
    found: dict[str, Any] = {}
    for measure in measures:
        if "_bin" in measure.name:
            continue
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
        there = {name: label for name, label in columns.items() if name in values}
        rows = [[str(depth), *(values[name][depth - 1] for name in there)] for depth in range(1, levels + 1)]
        final = [values.get(final_name(name)) for name in there]
        if any(value is not None for value in final):
            rows.append(["no error" if "first_error" in there else f"top {LISTED}", *final])
        show(heading, ["level", *there.values()], rows)


def final_name(name: str) -> str:
    """What a measure per level is called for the whole path or the final list."""
    if name == "first_error":
        return "no_error"
    return f"{name.replace('hrecall', f'recall@{LISTED}')}" if "hrecall" in name else f"{name}@{LISTED}"
