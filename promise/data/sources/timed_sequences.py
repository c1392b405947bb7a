"""Sequences with times: S3-Rec's lines of items, the same lines of seconds, and items of several domains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from promise.data.item_table import item_table
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile, found_files, word_lines


class TimedSequences(EventSource):
    """Reads `user item item ...` and `user time time ...`, line by line, and the items of some domains.

    Args:
        sequences: Text file, one user per line.
        times: Text file with the same users, each item's time in its place.
        items: JSON lines with `id`, `title` and `domain`; an item's number is its `order`.
        domains: Those to keep, with the users who took an item of them; None = all.
        preparing: See `EventSource`.
    """

    def __init__(
        self, sequences: str, times: str, items: str, domains: Sequence[str] | str | None, **preparing: Any
    ) -> None:
        super().__init__(**preparing)
        self.domains = [domains] if isinstance(domains, str) else None if domains is None else list(domains)
        self.options["domains"] = self.domains
        self.files = {"data.sequences": sequences, "data.times": times, "data.items": items}

    def paths(self) -> list[Path]:
        """The three files."""
        return [found_files(name, path, self.root)[0] for name, path in self.files.items()]

    def events(self) -> Events:
        """Every item with its time; those of other domains are left out."""
        sequences, times, _ = self.paths()
        (_, items), (_, stamps) = word_lines("data.sequences", sequences), word_lines("data.times", times)
        lines = items.height == stamps.height and items["user"].equals(stamps["user"])
        if not lines or not items["values"].list.len().equals(stamps["values"].list.len()):
            wanted = "the users and as many times as data.sequences has items, line by line"
            raise ValueError(f"data.times must have {wanted}")
        frame = items.select("user", item="values", time=stamps["values"]).explode("item", "time")
        if self.domains is not None:
            frame = frame.join(self.items().select(item=pl.col("id").cast(pl.String)), on="item", how="semi")
        file = TableFile("data.sequences", sequences, "csv", tuple(frame.columns), header=False, frame=frame)
        return Events([file], "user", "item", "time")

    def items(self) -> pl.DataFrame:
        """The items of the domains; ValueError if there is no such domain."""
        found = item_table([TableFile.open("data.items", self.paths()[2])], "id", ["title"], "domain")
        known = found["category"].drop_nulls().unique(maintain_order=True).to_list()
        for domain in self.domains or []:
            if domain not in known:
                raise ValueError(f"data.domains must be among {', '.join(known)}, got {domain}")
        kept = found if self.domains is None else found.filter(pl.col("category").is_in(self.domains))
        digits = len(str(found["id"].max()))
        return kept.with_columns(order=pl.col("id").cast(pl.String).str.zfill(digits))
