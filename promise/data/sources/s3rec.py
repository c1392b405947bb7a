"""S3-Rec format: a line per user, its token and then item numbers in time order; item texts as JSON lines."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from promise.data.file_kinds import hint, require_kind
from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, ITEM_NOTES, Interactions
from promise.data.item_table import words
from promise.data.tables import found_files, objects, shown, word_lines

_VERSION = 2  # raised when this reader would make another table of the same bytes
_FEWEST = 3  # interactions a user needs: one each to train on, to validate and to test
_INT64_MAX = 2**63 - 1


class S3Rec:
    """Reads `user item item ...` lines, and the catalogue from an items file where there is one.

    The first field of a line is any token, the rest non-negative integers, oldest first; they may have gaps.
    Users with fewer than 3 interactions are dropped and counted. The catalogue is the items file, or else
    the distinct items of the users that stay. Either file may be gzipped.

    Args:
        sequences: text file, one user per line.
        items: JSON lines, each with an integer `id`; an item's text is its `text`, or else its `title` (or
            `short_text`), `brand` and `categories` joined. None = no texts.
        root: folder in which relative names are looked up; None = the current one.
        order_field: field of the items that gives their `order` (see `Interactions`); None = none has any.
    """

    def __init__(self, sequences: str, items: str | None, root: str | None, order_field: str | None = None) -> None:
        self.sequences = sequences
        self.items = items
        self.root = root
        self.order_field = order_field

    def fingerprint(self) -> str:
        """SHA-256 (first 16 hex digits) of the files' bytes, the field and this reader's version, whatever their names.

        Raises:
            ValueError: a file is not there.
        """
        digests = [f"s3rec {_VERSION}"] + ([] if self.order_field is None else [self.order_field])
        for path in self._paths():
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]

    def read(self) -> Interactions:
        """Reads both files.

        Raises:
            ValueError: one line that says what is wrong, in which file and on which line.
        """
        sequences, *items_files = self._paths()
        catalogue = _read_items(items_files[0], self.order_field) if items_files else None
        require_kind("data.sequences", sequences, "sequences", "csv", "text")
        file, lines = word_lines("data.sequences", sequences)
        if (again := ~lines["user"].is_first_distinct()).any():
            user = lines["user"][again.arg_max() or 0]
            first, second, *_ = map(file.line, lines.filter(pl.col("user") == user)["row"])
            raise ValueError(f"data.sequences: {second}: user {user!r} stands on line {first.rpartition(':')[2]} too")
        fields = lines.select("row", item="values").explode("item").drop_nulls()
        whole = fields["item"].str.contains("^[0-9]+$")
        numbers = fields["item"].cast(pl.Int64, strict=False)
        if (wrong := numbers.is_null() | ~whole).any():
            row, field = fields.row(wrong.arg_max() or 0)
            needed = f"<= {_INT64_MAX}" if whole[wrong.arg_max() or 0] else "non-negative integers"
            kind = hint(sequences, "sequences")
            raise ValueError(f"data.sequences: {file.line(row)}: items must be {needed}, got {shown(field)}{kind}")
        items, counts = numbers.to_numpy(), lines["values"].list.len().to_numpy().astype(np.int64)
        long_enough = counts >= _FEWEST
        if not long_enough.any():
            raise ValueError(
                f"data.sequences: {sequences.name}: users need >= {_FEWEST} interactions, "
                f"none of the {len(lines)} here has{hint(sequences, 'sequences')}"
            )
        kept = np.repeat(long_enough, counts)
        if catalogue is None:
            ids = np.unique(items[kept])
            catalogue = pl.DataFrame({"id": ids, "text": [None] * len(ids)}, schema=ITEM_COLUMNS)
        ids = catalogue["id"].to_numpy()
        order = np.argsort(ids)
        rows = order[np.searchsorted(ids, items, sorter=order).clip(max=len(ids) - 1)]
        unknown = ids[rows] != items
        if items_files and unknown.any():
            row, item = fields.row(int(unknown.argmax()))
            raise ValueError(
                f"data.sequences: {file.line(row)}: item {item} has no row in "
                f"{items_files[0].name} (items without a row: {len(np.unique(items[unknown]))})"
            )
        counts = counts[long_enough]
        starts = np.cumsum(counts) - counts
        events = {
            "user": np.repeat(np.arange(len(counts), dtype=np.uint32), counts),
            "item": rows[kept].astype(np.int32),
            "time": np.arange(int(counts.sum())) - np.repeat(starts, counts),
        }
        return Interactions(
            events=pl.DataFrame(events, schema=EVENT_COLUMNS),
            users=lines["user"].filter(pl.Series(long_enough)),
            items=catalogue,
            dropped_users=int((~long_enough).sum()),
        )

    def _paths(self) -> list[Path]:
        """The sequences and any items, which are there."""
        named = {"data.sequences": self.sequences, "data.items": self.items}
        return [path for name, pattern in named.items() for path in found_files(name, pattern, self.root)[:1]]


def _read_items(path: Path, order_field: str | None) -> pl.DataFrame:
    """The catalogue with its notes, in the order of the file; raises ValueError for an id that cannot be."""
    require_kind("data.items", path, "jsonl", "bom")
    rows, seen = [], dict[int, int]()
    for number, row in objects("data.items", path, "jsonl"):
        where, item = f"data.items: {path.name}:{number}", row.get("id")
        if type(item) is not int or not 0 <= item <= _INT64_MAX:
            raise ValueError(f"{where}: id must be an integer in 0..{_INT64_MAX}, got {item!r}")
        if (before := seen.setdefault(item, number)) != number:
            raise ValueError(f"{where}: item {item} stands on line {before} too")
        order = [] if order_field is None else words(row.get(order_field))
        title, category = words(row.get("title")) or words(row.get("short_text")), words(row.get("categories"))
        text = words(row.get("text")) or [*title, *words(row.get("brand")), *category]
        rows.append((item, *(". ".join(each) or None for each in (text, title, category, order))))
    return pl.DataFrame(rows, schema={**ITEM_COLUMNS, **ITEM_NOTES}, orient="row")
