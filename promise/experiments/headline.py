"""From the points of a sweep to headline rows, also on the two halves of the users, and paired comparisons."""

import logging
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig

from promise.analysis.headline import (
    BETTER_PLAIN,
    COMPARED,
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    GUIDED,
    MEASURES,
    METHODS,
    ROW_COLUMNS,
    ROW_KEY,
    Row,
    write_table,
)  # fmt: skip
from promise.data.datasets import draw_users
from promise.experiments.findings import Measured
from promise.metrics.intervals import paired_interval
from promise.metrics.ranking import ndcg_values, recall_values
from promise.pipeline.points import seen_of
from promise.pipeline.stages import Pipeline

log = logging.getLogger(__name__)

VALUES = {"recall": recall_values, "ndcg": ndcg_values}

#: Overrides that say where and how a sweep ran, not what was measured.
ELSEWHERE = ("store", "build", "predictions", "logger", "trainer", "sweep", "sweeps", "hydra", "launcher")
PLACES = {"data.root": "DIR"}  # dials that name a folder; other paths become FILE


@dataclass(frozen=True)
class Entry:
    """A measured point, and the words that made it.

    Attributes:
        measured: Its row, and the rank of each user's target, users in ascending order.
        cfg: Its config.
        search: Option of the search that was chosen.
        words: Its overrides, a later one of the same name in force.
    """

    measured: Measured
    cfg: DictConfig
    search: str
    words: Sequence[str]

    @property
    def method(self) -> str | None:
        """Its name in headline tables; None for points that have none (controls, lists, the generator's ranking)."""
        row = self.measured.row
        if row.get("search.control") not in (None, "none") or "allow" in row or "deny" in row:
            return None
        # A preset of the guided search, whose row may carry that one's name.
        name = self.search if self.search == "second_scorer" else row["search"]
        if name == "plain" and row["training"] == "generator":
            return "plain_alone"
        if name == "exhaustive" and row["search.weight"] != 1:
            return None
        return name if name in METHODS else None

    @property
    def place(self) -> tuple[str, str, int | None]:
        """Which users' targets it ranked: data, split, and how many users are drawn (None = all)."""
        return self.measured.row["data"], self.cfg.split, self.cfg.evaluation.users

    def values(self, metric: str, users: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """A metric (n,) of the users (all of them,) that are marked; None where the lists are too short for it."""
        if self.measured.row.get(metric) is None:
            return None
        name, k = metric.split("@")
        return VALUES[name](self.measured.ranks[users], int(k))


def write_headline(entries: Sequence[Entry], folder: Path) -> dict[str, str]:
    """Write `headline.csv` and `comparisons.csv` of a sweep.

    Args:
        entries: Its measured points.
        folder: The sweep's folder.

    Returns:
        The files by their names.
    """
    entries = headline_points(entries)
    halves: dict[Any, dict[str, NDArray[np.bool_]]] = {}
    for entry in entries:
        if entry.place not in halves:
            halves[entry.place] = users_by_half(Pipeline(entry.cfg))
    paths = {"headline": folder / "headline.csv", "comparisons": folder / "comparisons.csv"}
    rows = [row for entry in entries for row in headline_rows(entry, halves[entry.place])]
    write_table(rows, paths["headline"], ROW_COLUMNS, ROW_KEY)
    compared = [
        row
        for place in halves
        for seen in dict.fromkeys(seen_of(entry.cfg) for entry in entries)
        for row in comparisons([e for e in entries if (e.place, seen_of(e.cfg)) == (place, seen)], halves[place])
    ]
    write_table(compared, paths["comparisons"], COMPARISON_COLUMNS, COMPARISON_KEY)
    return {name: str(path) for name, path in paths.items()}


def headline_points(entries: Iterable[Entry]) -> list[Entry]:
    """Points with a method, one per place, past items, method and seed: the first one."""
    found: dict[Any, Entry] = {}
    for entry in entries:
        if entry.method is None:
            continue
        key = (entry.place, seen_of(entry.cfg), entry.method, entry.cfg.seed)
        if key in found:
            log.warning("headline: a second point is %s of seed %s; the first one counts", entry.method, entry.cfg.seed)
        found.setdefault(key, entry)
    return list(found.values())


def users_by_half(pipeline: Pipeline) -> dict[str, NDArray[np.bool_]]:
    """Which of the users (n,) that are ranked count: all; target above, and below, the last item of their history.

    The order is that of the items' `order` in the data; users whose target or last item has none, or both the same,
    are in neither half. Data without it have no halves.
    """
    cfg, histories = pipeline.cfg, pipeline.histories
    users = draw_users(len(histories), cfg.evaluation.users)
    halves = {"all": np.ones(len(users), dtype=bool)}
    order = pipeline.interactions.items["order"]
    if order.null_count() == len(order):
        return halves
    places = order.rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    target = places[histories.targets(cfg.split, users)]
    last = places[histories.history(cfg.split, users, limit=1)[0][:, 0]]
    known = (target >= 0) & (last >= 0)
    halves |= {"above": known & (target > last), "below": known & (target < last)}
    return {half: marked for half, marked in halves.items() if marked.any()}


def headline_rows(entry: Entry, halves: dict[str, NDArray[np.bool_]]) -> Iterator[Row]:
    """A point's row for all users and for each half; costs are known for all users only."""
    row, cfg = entry.measured.row, entry.cfg
    for half, users in halves.items():
        values = {metric: entry.values(metric, users) for metric in MEASURES}
        yield {
            "dataset": row["data"],
            "method": entry.method,
            "seen": seen_of(cfg),
            "half": half,
            "seed": cfg.seed,
            "split": cfg.split,
            **{metric: None if each is None else rounded(each.mean()) for metric, each in values.items()},
            "flops_per_user": rounded(row["flops_per_user"], 1) if half == "all" else None,
            "parameters": row["parameters"],
            "command": command(entry),
        }


def comparisons(entries: Sequence[Entry], halves: dict[str, NDArray[np.bool_]]) -> Iterator[Row]:
    """Guided against every other method on the same users, over the seeds that both have.

    Args:
        entries: Headline points of one place and one treatment of past items.
        halves: half -> which users (n,) count.
    """
    methods: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        methods.setdefault(str(entry.method), {})[entry.cfg.seed] = entry
    for half, users in halves.items():
        for metric in COMPARED:
            values = {name: per_seed(by_seed, metric, users) for name, by_seed in methods.items()}
            guided = values.pop(GUIDED, {})
            alone = [values[name] for name in ("plain", "plain_alone") if values.get(name)]
            if len(alone) == 2:
                values[BETTER_PLAIN] = max(alone, key=lambda each: np.mean(list(each.values())))
            for name, others in values.items():
                if seeds := [seed for seed in guided if seed in others]:
                    first, second = ([each[seed] for seed in seeds] for each in (guided, others))
                    interval = paired_interval(first, second, seed=0)
                    cfg = entries[0].cfg
                    yield {
                        "dataset": entries[0].measured.row["data"],
                        "seen": seen_of(cfg),
                        "half": half,
                        "split": cfg.split,
                        "metric": metric,
                        "method": GUIDED,
                        "against": name,
                        "difference": rounded(interval.mean),
                        "low": rounded(interval.low),
                        "high": rounded(interval.high),
                        "seed_min": rounded(min(interval.seed_means)),
                        "seed_max": rounded(max(interval.seed_means)),
                        "seeds": len(seeds),
                        "users": int(users.sum()),
                    }


def per_seed(entries: dict[int, Entry], metric: str, users: NDArray[np.bool_]) -> dict[int, NDArray[np.float64]]:
    """Seed -> values (n,) of the users that are marked, for the seeds whose lists are long enough."""
    found = {seed: entry.values(metric, users) for seed, entry in entries.items()}
    return {seed: values for seed, values in found.items() if values is not None}


def command(entry: Entry) -> str:
    """The `promise evaluate` line that makes the row, without the paths of one machine."""
    words = {name_of(word): word for word in entry.words if name_of(word).split(".")[0] not in ELSEWHERE}
    cfg = entry.cfg
    words |= {name: f"{name}={value}" for name, value in (("split", cfg.split), ("seed", cfg.seed))}
    words["evaluation.remove_seen"] = f"evaluation.remove_seen={str(cfg.evaluation.remove_seen).lower()}"
    return " ".join(["promise evaluate", *(shlex.quote(anywhere(word)) for word in words.values())])


def name_of(word: str) -> str:
    """The dial or group of an override."""
    return word.split("=")[0].lstrip("+~")


def anywhere(word: str) -> str:
    """An override with DIR or FILE in place of a path.

    >>> [anywhere(word) for word in ("data.root=/home/me/data", "checkpoint=../a/networks.ckpt", "seed=0")]
    ['data.root=DIR', 'checkpoint=FILE', 'seed=0']
    """
    name, _, value = word.partition("=")
    if name in PLACES:
        return f"{name}={PLACES[name]}"
    return f"{name}=FILE" if "/" in value else word


def rounded(value: float, digits: int = 6) -> float:
    """A figure as the tables keep it: metrics to a millionth.

    >>> rounded(0.12345678), rounded(-0.0000001)
    (0.123457, 0.0)
    """
    return round(float(value), digits) + 0.0
