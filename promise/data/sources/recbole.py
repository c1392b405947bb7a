"""RecBole: atomic files NAME.inter and NAME.item, tab-separated under a header of `name:type`."""

from pathlib import Path
from typing import Any

import polars as pl

from promise.data.columns import guessed, named_column, require_column
from promise.data.item_table import item_table
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile, found_files


class RecBole(EventSource):
    """Reads the interactions of a folder in RecBole's form, and its items where there is a file of them.

    Args:
        name: First part of the files' names; None = that of the one .inter file in the folder.
        preparing: See `EventSource`.
    """

    def __init__(self, name: str | None, **preparing: Any) -> None:
        super().__init__(**preparing)
        self.name = name

    def paths(self) -> list[Path]:
        """NAME.inter, and NAME.item if it is there."""
        inter = found_files("data.name", f"{self.name or '*'}.inter", self.root)
        if len(inter) > 1:
            raise ValueError(f"data.name must be one of {', '.join(path.stem for path in inter)}, got null")
        item = inter[0].with_suffix(".item")
        return [inter[0], *([item] if item.is_file() else [])]

    def events(self) -> Events:
        """The interactions."""
        file = self._open(self.paths()[0])
        user, item = (require_column(f"data.{key}", named_column(key, None, file.columns), file.columns) for key in
                      ("user", "item"))  # fmt: skip
        return Events([file], user, item, named_column("time", None, file.columns))

    def items(self) -> pl.DataFrame | None:
        """The items; all their columns of words make the text."""
        if len(self.paths()) == 1:
            return None
        file = self._open(self.paths()[1])
        item = require_column("data.item_id", named_column("item_id", None, file.columns), file.columns)
        words = [column for column in file.columns if column.endswith(":token_seq")]
        texts = list(dict.fromkeys([*guessed("item_text", file.columns), *words]))
        return item_table([file], item, texts, named_column("item_category", None, file.columns))

    def _open(self, path: Path) -> TableFile:
        return TableFile.open("data.name", path, separator="\t", quoted=False)
