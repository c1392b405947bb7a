"""The leaderboard: where every user's target stands in the lists of each method, in files that a pull request adds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.analysis.report.headline import COMPARED, SEEN
from promise.analysis.report.results_md import cell, metric, short, titled
from promise.analysis.units import MISSING
from promise.metrics.intervals import Interval, mean_interval, paired_interval
from promise.metrics.ranking import NOT_RANKED
from promise.pipeline.files import written_whole
from promise.pipeline.model_folder import digest, fingerprint_of
from promise.pipeline.points import METRICS

#: Metrics of its tables.
SHOWN = ("recall@5", "recall@10", "recall@50", "ndcg@5", "ndcg@10")


@dataclass(frozen=True, eq=False)
class Standing:
    """What a method's lists are worth, user by user.

    Attributes:
        ranks: `keep` and `remove`, the treatment of past items -> (n,) uint16 place of every user's target, from 1 on,
            users in the order of the data; 0 = it isn't in the list.
        about: `method`, `data`, `split`, `targets` (fingerprint of users and targets); by treatment `lengths` of the
            longest list and `incomplete_users` with lists below 20 or that; `recipe`, `source`, `seed`, `command`,
            `promise` (its version).
    """

    ranks: Mapping[str, NDArray[np.uint16]]
    about: Mapping[str, Any]

    @property
    def seal(self) -> str:
        """Fingerprint of all that it holds."""
        return digest([dict(self.about), *(fingerprint_of(self.ranks[seen]) for seen in SEEN)])

    def values(self, seen: str, name: str) -> NDArray[np.float64] | None:
        """(n,) a metric (`recall@10`) of every user; None where the lists are too short for it."""
        if METRICS[name].keywords["k"] > self.about["lengths"][seen]:
            return None
        ranks = self.ranks[seen].astype(np.int64)
        return METRICS[name](np.where(ranks, ranks - 1, NOT_RANKED))

    def interval(self, seen: str, name: str) -> Interval | None:
        """A metric's mean with its 95 % interval."""
        values = self.values(seen, name)
        return None if values is None else mean_interval(values)

    def difference(self, other: "Standing", seen: str, name: str) -> Interval | None:
        """This method's mean minus another's, with the 95 % interval over the same users."""
        first, second = self.values(seen, name), other.values(seen, name)
        return None if first is None or second is None else paired_interval(first, second)

    def write(self, folder: Path) -> Path:
        """Write it where `read_standings` finds it; the file appears whole."""
        path = folder / place_of(self.about) / f"{self.about['method']}.parquet"
        with written_whole(path) as part:
            about = json.dumps({**self.about, "seal": self.seal})
            pl.DataFrame(dict(self.ranks)).write_parquet(part, metadata={"promise": about})
        return path


def place_of(about: Mapping[str, Any]) -> str:
    """The folder of the leaderboard that a standing belongs in."""
    return f"{about['data']}-{about['split']}"


def read_standings(folder: Path) -> list[Standing]:
    """The standings in a folder and those below it, by folder and name; ValueError if one is not as it was written."""
    return [read_standing(path) for path in sorted(folder.rglob("[!.]*.parquet"))]


def read_standing(path: Path) -> Standing:
    """One file of the leaderboard; ValueError if it is not what `Standing.write` made of it, or elsewhere."""
    try:
        about = json.loads(pl.read_parquet_metadata(path)["promise"])
        seal, table = about.pop("seal"), pl.read_parquet(path, glob=False)
        found = Standing({seen: table[seen].to_numpy() for seen in SEEN}, about)
        whole = seal == found.seal and path.parts[-2:] == (place_of(about), f"{about['method']}.parquet")
    except (pl.exceptions.PolarsError, ValueError, LookupError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} is not as promise score wrote it: its contents, name or folder have changed")
    return found


def ordered(standings: list[Standing], seen: str) -> list[Standing]:
    """The highest Recall@10 first, lists too short for it last."""

    def recall(standing: Standing) -> float:
        values = standing.values(seen, COMPARED[0])
        return -1.0 if values is None else float(values.mean())

    return sorted(standings, key=recall, reverse=True)


def cells(standing: Standing, seen: str, apart: tuple[Standing, Standing] | None) -> list[str]:
    """A standing's metrics as text, then differences of `COMPARED`: a first standing minus a second one, if any."""
    differences = [apart[0].difference(apart[1], seen, name) if apart else None for name in COMPARED]
    return [told(standing.interval(seen, name)) for name in SHOWN] + [told(each, "+") for each in differences]


def told(interval: Interval | None, sign: str = "") -> str:
    """A mean and its interval; a dash where nothing is measured.

    >>> told(Interval(0.01, -0.005, 0.025, (0.01,)), "+"), told(None)
    ('+.0100 (−.0050 to +.0250)', '–')
    """
    if interval is None:
        return MISSING
    mean, low, high = (metric(value, sign) for value in (interval.mean, interval.low, interval.high))
    return f"{mean} ({low} to {high})"


def tables(folder: Path) -> str:
    """The leaderboard in Markdown: by data set a table per treatment of past items, and where the lists are from."""
    text: list[str] = []
    for _, group in groupby(read_standings(folder), lambda each: place_of(each.about)):
        standings = list(group)
        about, users = standings[0].about, len(standings[0].ranks[SEEN[0]])
        text += [f"\n## {titled(about['data'])}, {about['split']} targets of {users:,} users"]
        for seen in SEEN:
            table = ordered(standings, seen)
            best = table[0]
            columns = ["method", *map(short, SHOWN), *(f"{short(name)} − {best.about['method']}" for name in COMPARED)]
            text += [f"\n**Past items {'kept' if seen == 'keep' else 'removed'}**\n", row(columns)]
            text += ["|---" * len(columns) + "|"]
            text += [
                row([each.about["method"], *cells(each, seen, None if each is best else (each, best))])
                for each in table
            ]
        text += ["\n| method | how its lists were made | by, code, licence | command |\n|---|---|---|---|"]
        for each in standings:
            words = [cell(escape(str(each.about[name]))) for name in ("method", "recipe", "source", "command")]
            text += [row([*words[:-1], f"<code>{words[-1]}</code>"])]
    return "\n".join(text) + "\n"


def row(words: list[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(words)} |"
