"""A table of events in CSV, TSV, Parquet or JSON lines, with a table of items if there is one."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from promise.data.columns import guessed, named_column, require_column
from promise.data.item_table import item_table
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile, found_files

log = logging.getLogger(__name__)


class Table(EventSource):
    """Reads events in the order of time, from files of one or several forms.

    Ids are text or integers of any form, and come back as they were. The catalogue is the items that have events.

    Args:
        events: File, or a pattern of files that are read one after the other.
        user: Column of the users; None = guessed from its name, as are the next ones.
        item: Column of the items.
        time: Column of the times; where none is given or guessed, the order of the file is that of time.
        header: Whether the first line of a CSV file names its columns; else they are called 1, 2, ...
        items: Files of the table of items, likewise; None = no texts.
        item_id: Column of the ids in the table of items; None = that of `item` if it is there, else guessed.
        item_text: Columns that make an item's text, the first of them its title.
        item_category: Column of the items' category.
        preparing: See `EventSource`.
    """

    def __init__(
        self,
        events: str,
        user: str | None = None,
        item: str | None = None,
        time: str | None = None,
        header: bool = True,
        items: str | None = None,
        item_id: str | None = None,
        item_text: Sequence[str] | str | int | None = None,
        item_category: str | None = None,
        **preparing: Any,
    ) -> None:
        super().__init__(**preparing)
        if not isinstance(header, bool):
            raise ValueError(f"data.header must be true or false, got {header}")
        texts = item_text if isinstance(item_text, list | tuple | None) else [item_text]
        self.options |= {"user": user, "item": item, "time": time, "header": header, "item_id": item_id}
        self.options |= {"item_text": None if texts is None else list(texts), "item_category": item_category}
        self.events_pattern, self.items_pattern = events, items

    def paths(self) -> list[Path]:
        """The files of events and of items."""
        return [path for files in self.roles() for path in files]

    def roles(self) -> list[list[Path]]:
        named = (("data.events", self.events_pattern), ("data.items", self.items_pattern))
        return [found_files(name, pattern, self.root) for name, pattern in named]

    def events(self) -> Events:
        """The files of events; which columns are taken is said."""
        files = TableFile.open_all("data.events", self.events_pattern, self.root, self.options["header"])
        return Events.of(files, *(self.options[key] for key in ("user", "item", "time")))

    def items(self) -> pl.DataFrame | None:
        """The table of items, if one is named; which columns are taken is said."""
        if self.items_pattern is None:
            return None
        files = TableFile.open_all("data.items", self.items_pattern, self.root, self.options["header"])
        columns = files[0].columns
        same = self.options["item"] if self.options["item"] in columns else None
        item = named_column("item_id", self.options["item_id"] or same, columns)
        item = require_column("data.item_id", item, columns)
        texts = self.options["item_text"]
        if texts is None:
            texts = [column for column in guessed("item_text", columns) if column != item]
        texts = [require_column("data.item_text", text, columns) for text in texts]
        category = named_column("item_category", self.options["item_category"], columns)
        chosen = {"item_id": [item], "item_text": texts, "item_category": [] if category is None else [category]}
        for file in files:
            for key, found in chosen.items():
                for column in found:
                    require_column(f"data.{key}", column, file.columns, file.path.name)
            file.require_flat("data.item_id", item)
        words = "items: data.item_id=%s data.item_text=[%s] data.item_category=%s of the columns %s"
        log.info(words, item, ",".join(texts), category, ", ".join(columns))
        return item_table(files, item, texts, category)
