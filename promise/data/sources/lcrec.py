"""LC-Rec: NAME.inter.json (user -> items in time order) and NAME.item.json (item -> its texts)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from promise.data.item_table import item_table, words
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile, found_files

_TEXTS = ("title", "brand", "categories", "description")


class LCRec(EventSource):
    """Reads a folder in the form of LC-Rec and LETTER; the index of semantic IDs there is not read.

    Args:
        name: First part of the files' names; None = that of the one .inter.json file in the folder.
        preparing: See `EventSource`.
    """

    def __init__(self, name: str | None, **preparing: Any) -> None:
        super().__init__(**preparing)
        self.name = name

    def paths(self) -> list[Path]:
        """NAME.inter.json, and NAME.item.json if it is there."""
        inter = found_files("data.name", f"{self.name or '*'}.inter.json", self.root)
        names = [path.name.removesuffix(".inter.json") for path in inter]
        if len(inter) > 1:
            raise ValueError(f"data.name must be one of {', '.join(names)}, got null")
        item = inter[0].with_name(f"{names[0]}.item.json")
        return [inter[0], *([item] if item.is_file() else [])]

    def events(self) -> Events:
        """The histories, whose order is that of time."""
        path = self.paths()[0]
        histories = _object(path)
        if wrong := next((user for user, items in histories.items() if not isinstance(items, list)), None):
            raise ValueError(f"data.name: {path.name}: user {wrong!r} must have a list of items")
        frame = pl.DataFrame(
            {
                "user": np.repeat(list(histories), [len(items) for items in histories.values()]),
                "item": [None if item is None else str(item) for items in histories.values() for item in items],
            },
            schema={"user": pl.String, "item": pl.String},
        )
        return Events([TableFile("data.name", path, "csv", ("user", "item"), frame=frame)], "user", "item", None)

    def items(self) -> pl.DataFrame | None:
        """The items with all their texts."""
        if len(self.paths()) == 1:
            return None
        path = self.paths()[1]
        rows = _object(path)
        if wrong := next((item for item, row in rows.items() if not isinstance(row, dict)), None):
            raise ValueError(f"data.name: {path.name}: item {wrong!r} must have an object of texts")
        values = {text: [". ".join(words(row.get(text))) or None for row in rows.values()] for text in _TEXTS}
        schema = dict.fromkeys(("id", *_TEXTS), pl.String)
        frame = pl.DataFrame({"id": list(rows), **values}, schema=schema, strict=False)
        return item_table([TableFile("data.name", path, "csv", tuple(schema), frame=frame)], "id", _TEXTS, "categories")


def _object(path: Path) -> dict[str, Any]:
    """The JSON object of a file; ValueError if it holds none."""
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError, OSError) as error:
        raise ValueError(f"data.name: {path.name} is no JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(f"data.name: {path.name} must be a JSON object with something in it")
    return found
