"""S3-Rec format: a line per user, its token and then item numbers in time order; item texts as JSON lines."""

import gzip
import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.data.file_kinds import hint
from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, ITEM_NOTES, Interactions
from promise.data.item_table import encodable, words

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
            if path is not None:
                with path.open("rb") as file:
                    digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]

    def read(self) -> Interactions:
        """Reads both files.

        Raises:
            ValueError: one line that says what is wrong, in which file and on which line.
        """
        sequences, items_file = self._paths()
        catalogue = None if items_file is None else _read_items(items_file, self.order_field)
        users, lines, counts, items = _read_sequences(sequences)
        long_enough = counts >= _FEWEST
        if not long_enough.any():
            raise ValueError(
                f"data.sequences: {sequences.name}: users need >= {_FEWEST} interactions, "
                f"none of the {len(users)} here has{hint(sequences, 'sequences')}"
            )
        kept = np.repeat(long_enough, counts)
        if catalogue is None:
            ids = np.unique(items[kept])
            catalogue = pl.DataFrame({"id": ids, "text": [None] * len(ids)}, schema=ITEM_COLUMNS)
        ids = catalogue["id"].to_numpy()
        order = np.argsort(ids)
        rows = order[np.searchsorted(ids, items, sorter=order).clip(max=len(ids) - 1)]
        unknown = ids[rows] != items
        if items_file is not None and unknown.any():
            first = int(unknown.argmax())
            line = lines[np.searchsorted(np.cumsum(counts), first, side="right")]
            raise ValueError(
                f"data.sequences: {sequences.name}:{line}: item {items[first]} has no row in "
                f"{items_file.name} (items without a row: {len(np.unique(items[unknown]))})"
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
            users=users.filter(pl.Series(long_enough)),
            items=catalogue,
            dropped_users=int((~long_enough).sum()),
        )

    def _paths(self) -> tuple[Path, Path | None]:
        """The two files, which are there."""
        root = Path(self.root or ".").expanduser()
        if not root.is_dir():
            raise ValueError(f"data.root: no such folder: {self.root}")
        items = None if self.items is None else _existing("data.items", root / Path(self.items).expanduser())
        return _existing("data.sequences", root / Path(self.sequences).expanduser()), items


def _existing(name: str, path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{name}: {'not a file' if path.exists() else 'no such file'}: {path}")
    return path


def _read_sequences(path: Path) -> tuple[pl.Series, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """User tokens (U,), their line numbers (U,), their numbers of items (U,), and all items in one row."""
    users: list[str] = []
    lines, counts, items = array("q"), array("q"), array("q")
    for number, line in _numbered_lines("data.sequences", path):
        where = f"data.sequences: {path.name}:{number}"
        user, *fields = line.split()
        try:
            users.append(user.decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: the user is not UTF-8 text: {_shown(user)}") from error
        # One check for the whole line: int() alone would also take +1, 1_000 and digits of other scripts.
        if fields and not b"".join(fields).isdigit():
            wrong = next(field for field in fields if not field.isdigit())
            raise ValueError(
                f"{where}: items must be non-negative integers, got {_shown(wrong)}{hint(path, 'sequences')}"
            )
        try:
            items.extend(map(int, fields))
        except (OverflowError, ValueError) as error:  # int() refuses to parse thousands of digits
            wrong = max(fields, key=lambda field: (len(field.lstrip(b"0")), field.lstrip(b"0")))
            raise ValueError(f"{where}: items must be <= {_INT64_MAX}, got {_shown(wrong)}") from error
        lines.append(number)
        counts.append(len(fields))
    if not users:
        raise ValueError(f"data.sequences: {path.name} is empty")
    tokens = pl.Series("user", users, dtype=pl.String)
    again = ~tokens.is_first_distinct()
    if again.any():
        second = again.arg_max() or 0
        first = users.index(users[second])
        raise ValueError(
            f"data.sequences: {path.name}:{lines[second]}: user {users[second]!r} stands on line {lines[first]} too"
        )
    return tokens, np.array(lines, np.int64), np.array(counts, np.int64), np.array(items, np.int64)


def _read_items(path: Path, order_field: str | None) -> pl.DataFrame:
    """The catalogue with its notes, in the order of the file."""
    rows = []
    for item, row in _item_rows(path):
        order = None if order_field is None else row.get(order_field)
        title = ". ".join(words(row.get("title")) or words(row.get("short_text"))) or None
        category = ". ".join(words(row.get("categories"))) or None
        rows.append((item, _text(row), title, category, None if order is None else encodable(str(order))))
    if not rows:
        raise ValueError(f"data.items: {path.name} is empty")
    return pl.DataFrame(rows, schema={**ITEM_COLUMNS, **ITEM_NOTES}, orient="row")


def _item_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Id and all fields of every item, checked, in the order of the file."""
    seen: dict[int, int] = {}
    for number, line in _numbered_lines("data.items", path):
        where = f"data.items: {path.name}:{number}"
        try:
            row = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: not a line of JSON: {_shown(line)}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{where}: every line must be a JSON object, got {_shown(line)}")
        if "id" not in row:
            raise ValueError(f"{where}: the item has no `id`")
        item = row["id"]
        if type(item) is not int or not 0 <= item <= _INT64_MAX:
            raise ValueError(f"{where}: id must be an integer in 0..{_INT64_MAX}, got {item!r}")
        if item in seen:
            raise ValueError(f"{where}: item {item} stands on line {seen[item]} too")
        seen[item] = number
        yield item, row


def _text(row: dict[str, Any]) -> str | None:
    """`text`, or else title, brand and categories; None when there is nothing."""
    found = words(row.get("text")) or [
        *(words(row.get("title")) or words(row.get("short_text"))),
        *words(row.get("brand")),
        *words(row.get("categories")),
    ]
    return ". ".join(found) or None


def _no_number(word: str) -> None:
    """Refuses NaN and infinities, which JSON does not have."""
    raise ValueError(word)


def _numbered_lines(name: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file, gzipped or not, with their numbers from 1; blank ones are left out."""
    try:
        with path.open("rb") as file:
            gzipped = file.peek(2).startswith(b"\x1f\x8b")
            for number, line in enumerate(gzip.GzipFile(fileobj=file) if gzipped else file, start=1):
                if b"\0" in line:
                    where = f"{name}: {path.name}:{number}"
                    raise ValueError(f"{where}: not a text file (it holds NUL bytes){hint(path)}")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line := line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: cannot read {path.name}: {error}") from error


def _shown(text: bytes) -> str:
    """A quotable beginning of a field of any length."""
    shown = text.decode(errors="replace")
    return repr(shown if len(shown) <= 40 else shown[:40] + "...")
