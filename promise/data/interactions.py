"""Interactions: the table (user, item, time) that every source gives, with its user tokens and item texts."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

EVENT_COLUMNS = {"user": pl.UInt32, "item": pl.Int32, "time": pl.Int64}
ITEM_COLUMNS = {"id": pl.Int64, "text": pl.String}


@dataclass(eq=False)
class Interactions:
    """Who took what, when.

    Attributes:
        events: `user` (UInt32, row of `users`), `item` (Int32, row of `items`), `time` (Int64, any unit).
        users: user tokens (String) as the file has them, distinct.
        items: the catalogue: `id` (Int64) as the file has it, distinct; `text` (String or null).
        dropped_users: users left out because they had fewer than 3 interactions.
    """

    events: pl.DataFrame
    users: pl.Series
    items: pl.DataFrame
    dropped_users: int

    def __post_init__(self) -> None:
        for name, table, columns in (
            ("events", self.events, EVENT_COLUMNS),
            ("items", self.items, ITEM_COLUMNS),
        ):
            if dict(table.schema) != columns:
                raise ValueError(f"{name} must have the columns {columns}, got {dict(table.schema)}")
        if self.users.dtype != pl.String:
            raise ValueError(f"users must be strings, got {self.users.dtype}")
        if self.events.is_empty():
            raise ValueError("events must hold at least one row")
        for column, count in (("user", len(self.users)), ("item", self.items.height)):
            low, high = self.events.select(low=pl.col(column).min(), high=pl.col(column).max()).row(0)
            if low is None or low < 0 or high >= count:
                raise ValueError(f"events.{column} must lie in 0..{count - 1}, got {low}..{high}")

    def save(self, folder: str | Path) -> None:
        """Writes `events.parquet`, `users.parquet` and `items.parquet` into a folder, made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.events.write_parquet(folder / "events.parquet")
        self.items.write_parquet(folder / "items.parquet")
        # The count rides along in the users' file, so that no fourth file can go missing.
        metadata = {"dropped_users": str(self.dropped_users)}
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
                events=pl.read_parquet(folder / "events.parquet"),
                users=pl.read_parquet(folder / "users.parquet")["user"],
                items=pl.read_parquet(folder / "items.parquet"),
                dropped_users=int(pl.read_parquet_metadata(folder / "users.parquet")["dropped_users"]),
            )
        except (OSError, pl.exceptions.PolarsError, KeyError, ValueError) as error:
            raise ValueError(f"cannot load the interactions in {folder}: {error}") from error

    def fingerprint(self) -> str:
        """SHA-256 (first 16 hex digits) of everything in the table, whatever file or place it came from."""
        digest = hashlib.sha256(f"{self.events.height} {self.items.height} {self.dropped_users}".encode())
        for column in (*self.events.get_columns(), self.items["id"]):
            digest.update(column.to_numpy().tobytes())
        for strings in (self.users, self.items["text"]):
            # Lengths first: ["ab", "c"] must not look like ["a", "bc"], nor null like the empty string.
            lengths = strings.str.len_bytes().cast(pl.Int64).fill_null(-1)
            digest.update(lengths.to_numpy().tobytes())
            digest.update(strings.str.join("").item().encode())
        return digest.hexdigest()[:16]
