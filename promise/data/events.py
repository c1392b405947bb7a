"""Events: files of one table of events, and their rows as numbers of users and items, and times."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.data.columns import named_column, require_column
from promise.data.interactions import canonical_order
from promise.data.item_table import stripped, whole_numbers
from promise.data.tables import TableFile, collected
from promise.data.times import ambiguous, as_integers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Events:
    """Files of one table of events, and which columns say who, what and when.

    Attributes:
        files: All of them have the columns.
        user: Column of the users.
        item: Column of the items.
        time: Column of the stamps; None = the order of the files is that of time.
        lists: Whether a row holds a list of items, oldest first, as JSON or as Parquet has it; there is no time then.
    """

    files: Sequence[TableFile]
    user: str
    item: str
    time: str | None
    lists: bool = False

    @classmethod
    def of(
        cls, files: Sequence[TableFile], user: str | None, item: str | None, time: str | None, lists: bool = False
    ) -> "Events":
        """Finds the columns, as given or by their usual names, and says which; ValueError where there is none."""
        columns, given = files[0].columns, {"user": user, "item": item, "time": time}
        found = {key: named_column(key, value, columns) for key, value in given.items()}
        user, item = (require_column(f"data.{key}", found[key], columns) for key in ("user", "item"))
        time = None if lists else found["time"]
        chosen = [user, item, *([] if time is None else [time])]
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"data.user, data.item and data.time must be different columns, got {', '.join(chosen)}")
        for file in files:
            for key, column in zip(given, chosen, strict=False):
                require_column(f"data.{key}", column, file.columns, file.path.name)
                if not (lists and key == "item"):
                    file.require_flat(f"data.{key}", column)
        log.info(
            "events: data.user=%s data.item=%s data.time=%s of the columns %s", user, item, time, ", ".join(columns)
        )
        return cls(files, user, item, time, lists)

    @property
    def numbered(self) -> bool:
        """Whether item ids that look like integers are integers: text of JSON and Parquet stays text."""
        return all(self.item not in file.typed for file in self.files)


def rows_of(events: Events) -> tuple[pl.DataFrame, str | None]:
    """Reads all events as numbers, in the order of the files.

    Returns:
        `user` and `item` (categories, null where a row has none) and `time` (Int64); the unit of the stamps where
        their form tells it.

    Raises:
        ValueError: If a file cannot be read, or a stamp is none; the file and line are named.
    """
    # Categories of their own, which go with them: the rows are numbers before all of them are in memory.
    ids = {events.user: pl.Categorical(pl.Categories.random()), events.item: pl.Categorical(pl.Categories.random())}
    columns = list(dict.fromkeys(filter(None, (events.user, events.item, events.time))))
    unit, stamps = None, [pl.lit(0, pl.Int64)] * len(events.files)
    if events.time is not None:
        stamps, unit = _stamps(events, events.time)
    parts = [
        _one_item_a_row(file.scan(columns), events).select(
            user=stripped(pl.col(events.user)).cast(ids[events.user]),
            item=stripped(pl.col(events.item)).cast(ids[events.item]),
            time=stamp,
        )
        for file, stamp in zip(events.files, stamps, strict=True)
    ]
    frame = collected(pl.concat(parts), events.files)
    if frame["time"].null_count():
        raise ValueError(_bad_time(events, stamps))
    if events.time is None:
        frame = frame.with_columns(time=pl.int_range(pl.len(), dtype=pl.Int64))
    return frame, unit


def _one_item_a_row(frame: pl.LazyFrame, events: Events) -> pl.LazyFrame:
    """Lists of items as rows of their own; an empty one as a row without an item."""
    if not events.lists:
        return frame
    items = pl.col(events.item)
    nested = frame.collect_schema()[events.item].is_nested()
    items = items.cast(pl.List(pl.String)) if nested else items.str.json_decode(pl.List(pl.String))
    return frame.with_columns(pl.when(items.list.len() > 0).then(items)).explode(events.item)


def _stamps(events: Events, time: str) -> tuple[list[pl.Expr], str | None]:
    """How to turn each file's stamps, which must be of one form, into integers, and their unit where that tells it."""
    rows = max(1, 1000 // len(events.files))
    samples = [collected(file.scan([time]).head(rows), [file])[time] for file in events.files]
    dates = [sample.dtype in (pl.Date, pl.Datetime) for sample in samples]  # by themselves, as Parquet holds them
    written = [sample.to_frame() for sample, is_date in zip(samples, dates, strict=True) if not is_date]
    how, unit = as_integers(time, pl.concat(written, how="vertical_relaxed")[time] if written else samples[0])
    if any(dates) and unit is None:
        one, other = (events.files[dates.index(is_date)].path.name for is_date in (True, False))
        raise ValueError(f"data.time must have one form in all files, got dates in {one} and numbers in {other}")
    forms = [as_integers(time, sample)[0] if is_date else how for sample, is_date in zip(samples, dates, strict=True)]
    return forms, unit


def _bad_time(events: Events, stamps: Sequence[pl.Expr]) -> str:
    """Where the first stamp is that is none."""
    assert events.time is not None
    for file, stamp in zip(events.files, stamps, strict=True):
        rows = file.scan([events.time]).with_row_index("\0row").filter(stamp.is_null()).head(1).collect()
        if len(rows):
            row, value = rows.row(0)
            got = "nothing" if value is None else repr(value)
            if value is not None and ambiguous(str(value)):
                got += ", whose day or month may be first: write 2014-06-30"
            return f"{file.name}: {file.line(row)}: {events.time} must be a number or a date, all rows alike, got {got}"
    raise AssertionError("no stamp is missing")


def numbered(column: pl.Series) -> tuple[pl.Series, NDArray[np.int32]]:
    """Distinct ids in the order in which they are numbered, and the number of each row's."""
    dtype = column.dtype
    assert isinstance(dtype, pl.Categorical)
    codes = column.to_physical().to_numpy()
    there = np.flatnonzero(np.bincount(codes))
    written = whole_numbers(dtype.categories.to_series().gather(there)).alias("id")
    ids = written.unique()  # 31 and 31.0 are one
    ids = ids.gather(canonical_order(ids))
    numbers = np.zeros(int(there.max(initial=-1)) + 1, np.int32)
    numbers[there] = written.replace_strict(ids, np.arange(len(ids), dtype=np.int32), return_dtype=pl.Int32).to_numpy()
    return ids, numbers[codes]
