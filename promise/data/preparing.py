"""EventSource: what all tables of events share: order in time, repeats, k-core and the count of what is lost."""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.data.event_rows import compressed, counts, first_of_pairs, k_core, time_order
from promise.data.events import Events, numbered, rows_of
from promise.data.interactions import EVENT_COLUMNS, ITEM_NOTES, Interactions
from promise.data.item_table import integers_if_all_are
from promise.data.splits import check_rule, core_before, moments
from promise.data.times import Clock, newest_first
from promise.ids.quantizers.checks import check_count

log = logging.getLogger(__name__)

#: Interactions a user needs: one each to train on, to validate and to test.
FEWEST = 3
_VERSION = 1  # raised when the same files would become another table


class EventSource(ABC):
    """A table of events and a table of items, of any format, prepared in one way.

    Args:
        root: Folder in which relative names are looked up; None = the current one.
        min_user_events: Fewest events of a user, >= 3; with the next a k-core, to a fixed point. With `split` time
            both count events before `validation_from` alone; later ones of other users or items are left out.
        min_item_events: Fewest events of an item, >= 1.
        repeats: What to do with the events of one user and item: keep all, or the first or the last alone.
        ties: Order of a user's events of one time: as in the file, or shuffle, at random.
        seed: Of that order, >= 0; not the run's seed, so that runs of all seeds share their data.
        split: How training, validation and test part: last_out, time or cold_start; see `promise.data.splits`.
        validation_from: Moment from which on events are for validation, of `split` time: a share of the events, a
            date or a stamp.
        test_from: Likewise for the test.

    Raises:
        ValueError: If an option is none of these.
    """

    def __init__(
        self,
        root: str | None,
        min_user_events: int = FEWEST,
        min_item_events: int = 1,
        repeats: str = "keep",
        ties: str = "file",
        seed: int = 0,
        split: str = "last_out",
        validation_from: float | str = 0.8,
        test_from: float | str = 0.9,
    ) -> None:
        check_count("data.min_user_events", min_user_events, FEWEST)
        check_count("data.min_item_events", min_item_events)
        check_count("data.seed", seed, 0)
        for name, word, known in (("repeats", repeats, "keep first last"), ("ties", ties, "file shuffle")):
            if word not in known.split():
                raise ValueError(f"data.{name} must be {known.replace(' ', ', ')}, got {word}")
        check_rule(split, validation_from, test_from, repeats)
        self.root, self.repeats, self.ties, self.seed = root, repeats, ties, seed
        self.min_user_events, self.min_item_events = min_user_events, min_item_events
        #: All that the result depends on besides the contents of files; JSON-able.
        self.options: dict[str, Any] = {"core": [min_user_events, min_item_events], "repeats": repeats}
        self.options["ties"] = seed if ties == "shuffle" else ties
        self.split, self.moments = split, [validation_from, test_from]
        if split != "last_out":
            self.options["split"] = [split, *(self.moments if split == "time" else [])]

    @abstractmethod
    def events(self) -> Events:
        """The files of events and their columns; ValueError where they are not there."""

    @abstractmethod
    def items(self) -> pl.DataFrame | None:
        """The table of items: `id` (String or Int64), distinct, and any of `text`, `title`, `category`, `order`."""

    @abstractmethod
    def paths(self) -> list[Path]:
        """All files that are read, which are there."""

    def roles(self) -> list[list[Path]]:
        """The same files by what they hold, events first, where a pattern may name any number of them."""
        return [self.paths()]

    def fingerprint(self) -> str:
        """A hash of the contents of the files, which are there, and of all options but their names."""
        digest = hashlib.sha256(f"{type(self).__name__} {_VERSION}".encode())
        if len(roles := self.roles()) > 1:
            digest.update(str([len(files) for files in roles]).encode())
        for path in chain.from_iterable(roles):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(json.dumps(self.options, sort_keys=True).encode())
        return digest.hexdigest()[:16]

    def read(self) -> Interactions:
        """Reads the files and prepares what they hold.

        Raises:
            ValueError: One line that says what is wrong, in which file and on which line.
        """
        events = self.events()
        rows, unit = rows_of(events)
        raw = rows.drop_nulls()
        partial = rows.height - raw.height
        if raw.is_empty():
            file = events.files[0]
            raise ValueError(f"{file.name}: {file.path.name} has no event with a user and an item")
        (users, user), (items, item) = numbered(raw["user"]), numbered(raw["item"])
        time = raw["time"].to_numpy()
        del rows, raw
        steps = [("as read", len(users), len(items), len(user) + partial)]
        if partial:
            steps.append(("with a user and an item", *counts(user, item)))
        clock = None if events.time is None else Clock.of(time, unit)
        notes = ["no column of times: the order of the file is that of time"] if clock is None else clock.warnings()
        if clock is not None and newest_first(user, time):
            notes.append("the file lists events newest first: it is read from its end")
            user, item, time = user[::-1], item[::-1], time[::-1]
        order = time_order(user, time)
        user, item, time = user[order], item[order], time[order]
        del order
        if self.repeats != "keep":
            step = 1 if self.repeats == "first" else -1
            kept = first_of_pairs(user[::step], item[::step])[::step]
            user, item, time = user[kept], item[kept], time[kept]
            steps.append((f"{self.repeats} of repeated events", *counts(user, item)))
        split: dict[str, Any] = {"rule": self.split}
        least = self.min_user_events, self.min_item_events
        if self.split == "time":
            cuts, shown = moments(self.moments, clock, time)
            split |= {"cuts": cuts, "shown": shown}
            early = time < cuts[0]
            kept = core_before(early, user, item, *least)
        else:
            early, kept = np.ones(len(user), bool), k_core(user, item, *least)
        if not kept.any():
            raise ValueError(self._too_short(events, user[early], item[early]))
        if not kept.all():
            user, item, time = user[kept], item[kept], time[kept]
            needs = f"users with >= {self.min_user_events}, items with >= {self.min_item_events} events"
            needs += f" before {shown[0]}" if self.split == "time" else ""
            steps.append((needs, *counts(user, item)))
        if self.ties == "shuffle" and clock is not None:
            by_item = np.lexsort((item, time, user))  # so that what is drawn does not depend on the file's order
            draws = np.random.default_rng(self.seed).random(len(user))
            item = item[by_item][np.lexsort((draws, time, user))]

        users, user = compressed(users, user)
        items, item = compressed(items, item)
        catalogue = self._catalogue(items, events.numbered, notes)
        for note in notes:
            log.info("data: %s", note)
        return Interactions(
            events=pl.DataFrame({"user": user, "item": item, "time": time}, schema=EVENT_COLUMNS),
            users=users.alias("user"),
            items=catalogue,
            dropped_users=steps[0][1] - len(users),
            preparation={
                "steps": [dict(zip(("step", "users", "items", "events"), step, strict=True)) for step in steps],
                "times": None if clock is None else vars(clock).copy(),
                "notes": notes,
            },
            split=None if self.split == "last_out" else split,
        )

    def _catalogue(self, ids: pl.Series, numbered: bool, notes: list[str]) -> pl.DataFrame:
        """The items that have events, with what the table of items says of them."""
        found = self.items()
        theirs = None if found is None else found["id"]
        if numbered and (theirs is None or theirs.dtype.is_integer()):
            ids = integers_if_all_are(ids)
        catalogue = ids.alias("id").to_frame()
        if found is None or theirs is None:
            return catalogue.with_columns(pl.lit(None, pl.String).alias("text"))
        columns = [column for column in ("text", *ITEM_NOTES) if column in found.columns]
        known = found.select(pl.col("id").cast(ids.dtype, strict=False), *columns, pl.lit(True).alias("there"))
        catalogue = catalogue.join(known, on="id", how="left", maintain_order="left")
        missing = catalogue["there"].null_count()
        if missing == len(ids):
            raise ValueError(
                f"data.items: no item of the events has a row there: events have {ids[0]!r}, items {theirs[0]!r}"
            )
        if missing:
            first = catalogue.filter(pl.col("there").is_null())["id"][0]
            notes.append(f"{missing} of {len(ids)} items have no row in the table of items, first {first!r}")
        if unused := len(theirs) + missing - len(ids):
            notes.append(f"{unused} rows of the table of items have no event that is kept")
        return catalogue.drop("there")

    def _too_short(self, events: Events, user: NDArray[Any], item: NDArray[Any]) -> str:
        """Why nothing is left, with the longest there is."""
        longest, most = np.bincount(user).max(), np.bincount(item).max()
        where = f"{events.files[0].name}: {events.files[0].path.name}"
        return (
            f"{where}: no user is left: users need >= {self.min_user_events} events and items >= "
            f"{self.min_item_events}; the longest of {len(np.unique(user))} users has {longest}, the most frequent of "
            f"{len(np.unique(item))} items {most}"
        )
