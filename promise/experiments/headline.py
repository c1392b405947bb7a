"""From the points of a sweep to headline rows, also on the two halves of the users, and paired comparisons."""

import logging
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from promise.analysis.report.headline import (
    BETTER_PLAIN,
    COMPARED,
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    GUIDED,
    MEASURES,
    METHODS,
    RETRIEVAL,
    ROW_COLUMNS,
    ROW_KEY,
    write_table,
)  # fmt: skip
from promise.data.datasets import draw_users
from promise.experiments.findings import Measured
from promise.metrics.intervals import paired_interval
from promise.pipeline.overrides import placeless
from promise.pipeline.stages import Pipeline

log = logging.getLogger(__name__)

Halves = Mapping[str, NDArray[np.bool_]]
"""half -> which users (n,) of those that are ranked count."""


@dataclass(frozen=True)
class Entry:
    """A measured point, and the words that made it."""

    measured: Measured  # its row, and the rank of each user's target, users in ascending order
    cfg: DictConfig
    search: str  # option of the search that was chosen
    words: Sequence[str]  # its overrides, a later one of the same name in force

    @property
    def method(self) -> str | None:
        """Its name in headline tables; None for points that have none (controls, lists, the generator's ranking)."""
        row = self.measured.row
        if self.measured.shuffled or "allow" in row or "deny" in row:
            return None
        # A preset of the guided search, whose row may carry that one's name.
        name = self.search if self.search == "second_scorer" else row["search"]
        if name == "plain" and row["training"] == "generator":
            return "plain_alone"
        if name == "exhaustive" and row["search.weight"] != 1:
            return None
        if OmegaConf.select(self.cfg, "training.shuffle_histories"):
            return "shuffled_histories" if self.search == name == GUIDED else None
        if self.search == "orm" and name == GUIDED:  # of C = W, which cuts nothing before the end
            alike = row["search.candidates"] == row["search.width"] and row["search.weight"] == 1
            return "orm_equal_flops" if alike else None
        return name if name in METHODS else None

    @property
    def recipe(self) -> str:
        """What its networks are trained by: `paper`, `counts` (of co-occurrence, in both) or `count_free`."""
        if any(word.lstrip("+") == "experiment=paper" for word in self.words):
            return "paper"
        return "counts" if self.cfg.get("cooccurrence") else "count_free"

    @property
    def dataset(self) -> str:
        """The data, with what is not usual of them: `movielens:split=time`."""
        return str(self.measured.row["data"])

    @property
    def place(self) -> tuple[str, str, int | None, str]:
        """The users whose targets it ranked (data, split, how many are drawn; None = all), and the recipe."""
        return self.dataset, self.cfg.split, self.cfg.evaluation.users, self.recipe

    @property
    def seen(self) -> str:
        """The treatment of past items, `keep` or `remove`."""
        return str(self.measured.row["seen"])


def write_headline(entries: Sequence[Entry], folder: Path) -> dict[str, str]:
    """Write `headline.csv` and `comparisons.csv` of a sweep's measured points; returns the files by their names."""
    points = headline_points(entries)
    rows: list[dict[str, Any]] = []
    compared: list[dict[str, Any]] = []
    for place in dict.fromkeys(point.place for point in points):
        same = [point for point in points if point.place == place]
        halves = users_by_half(Pipeline(same[0].cfg))
        rows += [row for point in same for row in headline_rows(point, halves)]
        for seen in dict.fromkeys(point.seen for point in same):
            compared += comparisons([point for point in same if point.seen == seen], halves)
    paths = {}
    for name, found, columns, key in (
        ("headline", rows, ROW_COLUMNS, ROW_KEY),
        ("comparisons", compared, COMPARISON_COLUMNS, COMPARISON_KEY),
    ):
        paths[name] = str(folder / f"{name}.csv")
        write_table(pl.DataFrame(found, schema=columns, infer_schema_length=None), folder / f"{name}.csv", key)
    return paths


def headline_points(entries: Iterable[Entry]) -> list[Entry]:
    """Points with a method, one per place, past items, method and seed: the first one."""
    found: dict[Any, Entry] = {}
    for entry in entries:
        if entry.method is None:
            continue
        key = (entry.place, entry.seen, entry.method, entry.cfg.seed)
        if key in found:
            log.warning("headline: a second point is %s of seed %s; the first one counts", entry.method, entry.cfg.seed)
        found.setdefault(key, entry)
    return list(found.values())


def users_by_half(pipeline: Pipeline) -> Halves:
    """Masks (n,) of the users that are ranked, by half: all, and by how the target stands to the item before it.

    Above or below it, in the order of the items' `order` in the data: users whose target or last item has none, or both
    the same, are in neither half. Tied, at the same time, or untied. Data without order, or without ties, lack these.
    """
    cfg, histories = pipeline.cfg, pipeline.histories
    users = draw_users(histories.evaluated(cfg.split), cfg.evaluation.users)
    events, order = pipeline.interactions.events, pipeline.interactions.items["order"]
    target = histories.offsets[users] + histories.lengths(cfg.split, users)  # events stand as the histories do
    later = order.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()[events["item"].to_numpy()]
    known = (later[target] > 0) & (later[target - 1] > 0)
    times = events["time"].to_numpy()
    tied = times[target] == times[target - 1]
    halves = {"all": np.ones(len(users), dtype=bool)}
    for some in (
        {"above": known & (later[target] > later[target - 1]), "below": known & (later[target] < later[target - 1])},
        {"tied": tied, "untied": ~tied},
    ):
        halves |= some if all(marked.any() for marked in some.values()) else {}
    return halves


def headline_rows(entry: Entry, halves: Halves) -> Iterator[dict[str, Any]]:
    """A point's row for all users and for each half; costs are known for all users only."""
    row, cfg = entry.measured.row, entry.cfg
    for half, users in halves.items():
        whole = half == "all"
        values = {metric: entry.measured.values(metric) for metric in (*MEASURES, *RETRIEVAL[:-1])}
        means = {metric: None if each is None else rounded(each[users].mean()) for metric, each in values.items()}
        yield {
            "dataset": entry.dataset,
            "method": entry.method,
            "seen": entry.seen,
            "half": half,
            "seed": cfg.seed,
            "split": cfg.split,
            **{metric: means[metric] for metric in MEASURES},
            "flops_per_user": rounded(row["flops_per_user"], 1) if whole else None,
            "parameters": row["parameters"],
            "command": command(entry),
            "recipe": entry.recipe,
            **{metric: means[metric] for metric in RETRIEVAL[:-1]},
            "recall_ceiling": rounded(row["recall_ceiling"]) if whole and "recall_ceiling" in row else None,
            "data_fingerprint": row.get("data_fingerprint"),
        }


def comparisons(entries: Sequence[Entry], halves: Halves) -> Iterator[dict[str, Any]]:
    """Guided against every other method on the same users, over the seeds that both have."""
    methods: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        methods.setdefault(str(entry.method), {})[entry.cfg.seed] = entry
    for half, users in halves.items():
        for metric in COMPARED:
            values: dict[str, dict[int, NDArray[np.float64]]] = {}  # method -> seed -> users, of lists long enough
            for name, by_seed in methods.items():
                every = {seed: entry.measured.values(metric) for seed, entry in by_seed.items()}
                values[name] = {seed: each[users] for seed, each in every.items() if each is not None}
            guided = values.pop(GUIDED, {})
            alone = [values[name] for name in ("plain", "plain_alone") if values.get(name)]
            if len(alone) == 2 and (both := alone[0].keys() & alone[1].keys()):
                values[BETTER_PLAIN] = max(alone, key=lambda each: np.mean([each[seed] for seed in both]))
            for name, others in values.items():
                seeds = [seed for seed in guided if seed in others]
                if not seeds:
                    continue
                found = paired_interval([guided[seed] for seed in seeds], [others[seed] for seed in seeds], seed=0)
                yield {
                    "dataset": entries[0].dataset,
                    "seen": entries[0].seen,
                    "half": half,
                    "split": entries[0].cfg.split,
                    "metric": metric,
                    "method": GUIDED,
                    "against": name,
                    "difference": rounded(found.mean),
                    "low": rounded(found.low),
                    "high": rounded(found.high),
                    "seed_min": rounded(min(found.seed_means)),
                    "seed_max": rounded(max(found.seed_means)),
                    "seeds": len(seeds),
                    "users": int(users.sum()),
                    "recipe": entries[0].recipe,
                }


def command(entry: Entry) -> str:
    """The `promise evaluate` line that makes the row, without the paths of one machine."""
    words = placeless(entry.words)
    words |= {name: f"{name}={entry.cfg[name]}" for name in ("split", "seed")}
    return " ".join(["promise evaluate", *map(shlex.quote, words.values())])


def rounded(value: float, digits: int = 6) -> float:
    """A figure as the tables keep it: metrics to a millionth.

    >>> rounded(0.12345678), rounded(-0.0000001)
    (0.123457, 0.0)
    """
    return round(float(value), digits) + 0.0
