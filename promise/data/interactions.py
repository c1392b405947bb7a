"""Interactions: the table (user, item, time) that every source gives, with its user tokens and item texts."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

EVENT_COLUMNS = {"user": pl.UInt32, "item": pl.Int32, "time": pl.Int64}
ITEM_COLUMNS = {"id": pl.Int64, "text": pl.String}
#: What else may be said of an item; nothing learns from it, and the fingerprint leaves it out.
ITEM_NOTES = {"title": pl.String, "category": pl.String, "order": pl.String}


@dataclass(eq=False)
class Interactions:
    """Who took what, when.

    Whatever order a source gives them in, users are numbered by their token and items by their id, so that neither the
    order of a file nor anybody's targets move a number: integers by size, strings by length and then alphabetically
    (which is by size where they are numbers). Events are sorted by user and time.

    Attributes:
        events: `user` (UInt32, row of `users`), `item` (Int32, row of `items`), `time` (Int64, any unit); events of
            one user and time keep the order they came in.
        users: user tokens (String) as the source has them, distinct.
        items: the catalogue: `id` (Int64 or String) as the source has it, distinct; `text` (String or null); and
            what nothing learns from, String or null, each of which may be left out: `title`, `category`, and `order`,
            by which headline rows split the users in halves.
        dropped_users: users left out because they had fewer than 3 interactions.
        preparation: what the source did to make this of its files, for the dataset card; not kept by `save`.
        split: the rule by which a user's items are split, and `cuts`, its moments; None = leave-last-out; JSON-able.
    """

    events: pl.DataFrame
    users: pl.Series
    items: pl.DataFrame
    dropped_users: int
    preparation: dict[str, Any] = field(default_factory=dict)
    split: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if dict(self.events.schema) != EVENT_COLUMNS:
            raise ValueError(f"events must have the columns {EVENT_COLUMNS}, got {dict(self.events.schema)}")
        expected = {**ITEM_COLUMNS, **ITEM_NOTES}
        given = dict(self.items.schema)
        missing = [pl.lit(None, pl.String).alias(name) for name in ITEM_NOTES if name not in self.items.columns]
        self.items = self.items.with_columns(missing)
        if set(self.items.columns) == set(expected):
            self.items = self.items.select(list(expected))
        if dict(self.items.schema) not in (expected, {**expected, "id": pl.String}):
            wanted = "id (Int64 or String), text and, if any, title, category, order (String)"
            raise ValueError(f"items must have the columns {wanted}, got {given}")
        if self.users.dtype != pl.String:
            raise ValueError(f"users must be strings, got {self.users.dtype}")
        if self.events.is_empty():
            raise ValueError("events must hold at least one row")
        named = {f"events.{name}": self.events[name] for name in EVENT_COLUMNS}
        named |= {"users": self.users, "items.id": self.items["id"]}
        if empty := [name for name, column in named.items() if column.null_count()]:
            raise ValueError(f"{', '.join(empty)} must not be null in any row")
        for column, keys in (("user", self.users), ("item", self.items["id"])):
            low, high = self.events.select(low=pl.col(column).min(), high=pl.col(column).max()).row(0)
            if low is None or low < 0 or high >= len(keys):
                raise ValueError(f"events.{column} must lie in 0..{len(keys) - 1}, got {low}..{high}")
            if keys.n_unique() < len(keys):
                raise ValueError(f"{column}s must be distinct, {keys.filter(keys.is_duplicated())[0]!r} is there twice")
            order = canonical_order(keys)
            if (np.diff(order) == 1).all():
                continue
            moved = pl.Series(column, np.argsort(order)[self.events[column].to_numpy()], dtype=EVENT_COLUMNS[column])
            self.events = self.events.with_columns(moved)
            if column == "user":
                self.users = self.users[order]
            else:
                self.items = self.items[order]
        if not _in_order(self.events["user"].to_numpy(), self.events["time"].to_numpy()):
            self.events = self.events.sort("user", "time", maintain_order=True)

    def save(self, folder: str | Path) -> None:
        """Writes `events.parquet`, `users.parquet` and `items.parquet` into a folder, made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.events.write_parquet(folder / "events.parquet")
        self.items.write_parquet(folder / "items.parquet")
        # The count and the split ride along in the users' file, so that no fourth file can go missing.
        metadata = {"dropped_users": str(self.dropped_users)}
        if self.split is not None:
            metadata["split"] = json.dumps(self.split)
        self.users.rename("user").to_frame().write_parquet(folder / "users.parquet", metadata=metadata)

    @classmethod
    def load(cls, folder: str | Path) -> "Interactions":
        """Reads what `save` wrote.

        Raises:
            ValueError: a file is missing or is not what `save` writes.
        """
        folder = Path(folder)
        try:
            return cls(
                events=pl.read_parquet(folder / "events.parquet", glob=False),
                users=pl.read_parquet(folder / "users.parquet", glob=False)["user"],
                items=pl.read_parquet(folder / "items.parquet", glob=False),
                dropped_users=int((metadata := pl.read_parquet_metadata(folder / "users.parquet"))["dropped_users"]),
                split=json.loads(metadata.get("split", "null")),
            )
        except (OSError, pl.exceptions.PolarsError, KeyError, ValueError) as error:
            raise ValueError(f"cannot load the interactions in {folder}: {error}") from error

    def fingerprint(self) -> str:
        """SHA-256 (first 16 hex digits) of all that anything learns from, whatever file or place it came from."""
        digest = hashlib.sha256(f"{self.events.height} {self.items.height} {self.dropped_users}".encode())
        columns = [*self.events.get_columns(), self.items["id"], self.users, self.items["text"]]
        for column in (column for column in columns if column.dtype != pl.String):
            digest.update(column.to_numpy().tobytes())
        for strings in (column for column in columns if column.dtype == pl.String):
            # Lengths first: ["ab", "c"] must not look like ["a", "bc"], nor null like the empty string.
            lengths = strings.str.len_bytes().cast(pl.Int64).fill_null(-1)
            digest.update(lengths.to_numpy().tobytes())
            digest.update(strings.str.join("").item().encode())
        if self.split is not None:
            digest.update(json.dumps(self.split, sort_keys=True).encode())
        return digest.hexdigest()[:16]


def canonical_order(keys: pl.Series) -> NDArray[Any]:
    """(n,) the rows of distinct keys in the order in which they are numbered."""
    key = pl.col(keys.name)
    by = [key.str.len_bytes(), key] if keys.dtype == pl.String else [key]
    return keys.to_frame().select(pl.arg_sort_by(by)).to_series().to_numpy()


def _in_order(user: NDArray[Any], time: NDArray[Any]) -> bool:
    """Whether events are sorted by user and time."""
    later = user[1:] > user[:-1]
    return bool((later | ((user[1:] == user[:-1]) & (time[1:] >= time[:-1]))).all())
