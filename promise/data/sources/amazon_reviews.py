"""Amazon reviews of McAuley's group, 2014, 2018 and 2023: reviews as events, products as items."""

import html
from pathlib import Path
from typing import Any

import polars as pl

from promise.data.columns import require_column
from promise.data.item_table import item_table
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile, found_files

# Columns of user, item and time: 2014 and 2018; 2023, where `parent_asin` joins the variants of a product.
_FORMS = (("reviewerID", "asin", "unixReviewTime"), ("user_id", "parent_asin", "timestamp"))
_TEXTS = ("title", "brand", "store", "categories", "category")


class AmazonReviews(EventSource):
    """Reads files of reviews and of products, JSON lines or (2014) Python literals, in any order.

    Args:
        reviews: File or pattern of files, the 5-core or all; CSV of 2023 too.
        products: File or pattern of the files of products (meta_...); None = no texts.
        preparing: See `EventSource`.
    """

    def __init__(self, reviews: str, products: str | None, **preparing: Any) -> None:
        super().__init__(**preparing)
        self.reviews, self.products = reviews, products

    def paths(self) -> list[Path]:
        """The files of reviews and of products."""
        return [path for files in self.roles() for path in files]

    def roles(self) -> list[list[Path]]:
        named = (("data.reviews", self.reviews), ("data.products", self.products))
        return [found_files(name, pattern, self.root) for name, pattern in named]

    def events(self) -> Events:
        """The reviews; ValueError if they are of none of the three forms."""
        files = TableFile.open_all("data.reviews", self.reviews, self.root)
        for form in _FORMS:
            if all({*form} <= {*file.columns} for file in files):
                return Events(files, *form)
        known = " or ".join(", ".join(form) for form in _FORMS)
        raise ValueError(f"data.reviews must have the columns {known}, got {', '.join(files[0].columns)}")

    def items(self) -> pl.DataFrame | None:
        """The products, the first row of each; their ids are their `order`, in which reviews of one day stand."""
        if self.products is None:
            return None
        files = TableFile.open_all("data.products", self.products, self.root)
        columns = {column for file in files for column in file.columns}
        item = "parent_asin" if "parent_asin" in columns else require_column("data.products", "asin", sorted(columns))
        texts = [text for text in _TEXTS if text in columns]
        category = next((text for text in reversed(texts) if text.startswith("categor")), None)
        found = item_table(files, item, texts, category, first=True)
        plain = pl.col("text", "title", "category").map_elements(html.unescape, return_dtype=pl.String)
        return found.with_columns(plain, order=pl.col("id").cast(pl.String))
