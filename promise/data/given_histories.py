"""GivenHistories: histories of a table for a catalogue that is known: events, or one user a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.data.columns import guessed
from promise.data.event_rows import time_order
from promise.data.events import Events, numbered, rows_of
from promise.data.item_table import integers_if_all_are
from promise.data.tables import TableFile, collected
from promise.data.times import newest_first


@dataclass(frozen=True, eq=False)
class GivenHistories:
    """Items of all users, one user after the other, each in time order.

    Attributes:
        users: (U,) ids as the file has them, in the order of their first rows.
        items: (F,) int32, numbers of items of the catalogue.
        offsets: (U + 1,) int64; user u owns items[offsets[u]:offsets[u + 1]], which may be none.
        unknown: Events of items that the catalogue does not have, which are left out.
        stranger: The first such item's id; None = there is none.
    """

    users: pl.Series
    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    unknown: int
    stranger: str | None


def read_histories(
    name: str,
    pattern: str,
    catalogue: pl.Series,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    header: bool = True,
    usual: Mapping[str, str] = MappingProxyType({}),
    ranked: bool = False,
) -> GivenHistories:
    """Reads a table as `data=table` does, in memory only as numbers.

    Args:
        name: The option that names it, for errors.
        pattern: A file of events, or of users with lists of items, of any form; or a pattern of files.
        catalogue: (I,) ids of the items; 3 meets "3".
        user, item, time, header: As `promise.data.sources.table.Table` takes them; `item` may be a column of lists.
        usual: Columns that stand for those of the three that are not given, where the file has them.
        ranked: Whether they are ranked lists, one a user, by the column `rank` where a row holds one item.

    Raises:
        ValueError: If there is no such file, it is no table, lacks a column or holds no user, or if a user has two
            ranked lists or two items of one rank.
    """
    files = TableFile.open_all(name, pattern, None, header)
    columns = files[0].columns
    own = {name: str(column) for name, column in usual.items() if str(column) in columns}
    own |= {"time": "rank"} if ranked and "rank" in columns else {}
    user, item, time = user or own.get("user"), item or own.get("item"), time or own.get("time")
    item = item or next(iter([*guessed("item", columns), *guessed("items", columns)]), None)
    events = Events.of(files, user, item, time, lists=str(item) in columns and holds_lists(files[0], str(item)))
    rows, _ = rows_of(events)
    if ranked:
        require_one_list(name, events)
    rows = rows.filter(pl.col("user").is_not_null())
    if rows.is_empty():
        raise ValueError(f"{name}: {files[0].path.name} has no row with a user")
    users, user_rows = numbered(rows["user"])
    order = np.unique(user_rows, return_index=True)[1].argsort()  # that of the file
    users, user_rows = users.gather(order), order.argsort().astype(np.int32)[user_rows]
    there = rows["item"].is_not_null()
    ids, item_rows = numbered(rows["item"].filter(there))
    user_rows, times = user_rows[there.to_numpy()], rows["time"].filter(there).to_numpy()
    known = catalogue.cast(pl.String).alias("id").to_frame().with_row_index("number")
    found = ids.to_frame("id").join(known, on="id", how="left", maintain_order="left")["number"]
    item_rows = found.cast(pl.Int32).fill_null(-1).to_numpy()[item_rows]
    if events.time is not None and len(times) and newest_first(user_rows, times):
        user_rows, item_rows, times = user_rows[::-1], item_rows[::-1], times[::-1]
    kept = np.flatnonzero(item_rows >= 0)
    stranger = next(iter(ids.filter(found.is_null())), None)
    if len(kept):
        kept = kept[time_order(user_rows[kept], times[kept])]
    offsets = np.append(0, np.cumsum(np.bincount(user_rows[kept], minlength=len(users))))
    if events.user not in files[0].typed:
        users = integers_if_all_are(users)
    return GivenHistories(users.alias("user"), item_rows[kept], offsets, len(item_rows) - len(kept), stranger)


def require_one_list(name: str, events: Events) -> None:
    """Raise ValueError if a user has two lists, or two items of one rank; without lists and ranks that is not known."""
    if events.lists or events.time == "rank":
        keys = [events.user] if events.lists else [events.user, "rank"]
        rows = collected(pl.concat([file.scan(keys) for file in events.files]), events.files).drop_nulls()
        if (again := rows.is_duplicated()).any():
            twice = "two lists" if events.lists else "two items of one rank"
            raise ValueError(f"{name}: user {rows.filter(again)[events.user][0]} has {twice}")


def holds_lists(file: TableFile, column: str) -> bool:
    """Whether a column holds a list a row: of Parquet, or as JSON."""
    values = collected(file.scan([column]).head(100), [file])[column].drop_nulls()
    return values.dtype.is_nested() or (values.len() > 0 and values.cast(pl.String).str.starts_with("[").all())
