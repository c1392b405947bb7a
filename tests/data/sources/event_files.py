"""A small table of events in files, and what it holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise.data.interactions import Interactions
from promise.data.sources.table import Table

EVENTS = [("ann", "b7", 30), ("bob", "b7", 5), ("ann", "a", 10), ("bob", "c", 5), ("ann", "c", 20), ("bob", "a", 1)]
NAMED = [dict(zip(("user_id", "item_id", "timestamp"), event, strict=True)) for event in EVENTS]
EXPECTED = {"ann": ["a", "c", "b7"], "bob": ["a", "b7", "c"]}


def csv_of(rows: Sequence[Sequence[Any]], header: str = "user,item,time", separator: str = ",") -> str:
    return "\n".join([header.replace(",", separator), *(separator.join(map(str, row)) for row in rows)]) + "\n"


def read(folder: Path, content: str | bytes | dict[str, str | bytes], **options: Any) -> Interactions:
    """Writes files (one: events.csv) and reads them."""
    files = content if isinstance(content, dict) else {"events.csv": content}
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Table(**{"events": next(iter(files), ""), "root": str(folder)} | options).read()
