"""Items, histories and branches of the ID tree as tables that a person can read."""

from html import escape

import numpy as np
import polars as pl
import torch
from numpy.typing import ArrayLike, NDArray

from promise.data.distinctive_terms import DistinctiveTerms
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import cell


def item_table(pipeline: Pipeline, items: ArrayLike) -> pl.DataFrame:
    """The id as the data have it, the semantic ID and the text of items (n,), in their order; null for -1."""
    rows = np.asarray(items)
    catalogue = pipeline.interactions.items[np.maximum(rows, 0)]
    codes = [spelled(path) for path in pipeline.ids.codes[rows]]
    table = catalogue.select(pl.col("id").cast(pl.String), pl.Series("semantic_id", codes), "text")
    return table.with_columns(pl.when(pl.Series(rows >= 0)).then(pl.all()))


def history_table(pipeline: Pipeline, user: int) -> pl.DataFrame:
    """The items of a user, oldest first, and the part of the split of each; ValueError if there is no such user."""
    require_user(pipeline, user)
    histories = pipeline.histories
    items = histories.items[histories.offsets[user] : histories.offsets[user + 1]]
    return item_table(pipeline, items).insert_column(0, pl.Series("part", histories.parts_of(user)))


def require_user(pipeline: Pipeline, user: int) -> None:
    """Raise ValueError if there is no such user."""
    if not 0 <= user < len(pipeline.histories):
        raise ValueError(f"user must lie in 0..{len(pipeline.histories) - 1}, got {user}")


def nearest_table(pipeline: Pipeline, item: int, count: int = 8) -> pl.DataFrame:
    """An item, by index, and `count` of the most similar embeddings, by cosine, with the codes they share with it."""
    vectors = pipeline.item_vectors
    norms = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[item] / np.maximum(norms * norms[item], np.finfo(np.float32).tiny)
    cosines[item] = np.inf  # first, also before a twin
    nearest = np.argsort(-cosines, kind="stable")[: count + 1]
    cosines[item] = 1.0
    shared = np.cumprod(pipeline.ids.codes[nearest] == pipeline.ids.codes[item], axis=1).sum(1)
    columns = (pl.Series("cosine", cosines[nearest].astype(np.float64)), pl.Series("shared_codes", shared))
    return item_table(pipeline, nearest).select(*columns, pl.all())


def branch_table(pipeline: Pipeline, item: int) -> pl.DataFrame:
    """The way down to an item: at each depth the prefix, the items below it, and the words that set them apart."""
    trie, path = pipeline.trie, pipeline.ids.codes[item]
    terms = DistinctiveTerms(pipeline.interactions.items["text"].to_list())
    rows = []
    for depth in range(trie.levels + 1):
        node = trie.node_of(torch.from_numpy(path[:depth].astype(np.int64)))
        below = items_below(pipeline, depth, int(node))
        following = int(trie.child_counts(depth)[node]) if depth < trie.levels else None
        rows.append((depth, spelled(path[:depth]), len(below), following, terms.of(below)))
    return pl.DataFrame(rows, schema=["depth", "prefix", "items", "next_codes", "holds"], orient="row")


def level_table(pipeline: Pipeline) -> pl.DataFrame:
    """For each level of the semantic IDs: codes, distinct prefixes, and the items below the fullest and the median."""
    trie = pipeline.trie
    rows = []
    for depth in range(1, trie.levels + 1):
        counts = trie.leaf_counts(depth).numpy()
        rows.append((depth, trie.level_sizes[depth - 1], len(counts), float(np.median(counts)), int(counts.max())))
    schema = ["level", "codes", "prefixes", "median_items", "most_items"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def items_below(pipeline: Pipeline, depth: int, node: int) -> NDArray[np.int64]:
    """The items (n,) below a trie node of a depth, 0..L."""
    begin, end = pipeline.trie.leaf_range(depth, torch.tensor(node))
    return pipeline.trie.leaf_items[int(begin) : int(end)].numpy()


def spelled(path: NDArray[np.int32]) -> str:
    """Codes as a reader sees them.

    >>> spelled(np.array([17, 3, 40])), spelled(np.array([]))
    ('17-3-40', '–')
    """
    return "-".join(map(str, path.tolist())) or "–"


def as_html(table: pl.DataFrame) -> str:
    """A table for a notebook: cells as the verbs print them, numbers to the right, text to the left.

    >>> as_html(pl.DataFrame({"a": ["<b>", None]})).partition("<tbody>")[2]
    '<tr><td style="text-align: left">&lt;b&gt;</td></tr><tr><td style="text-align: left">–</td></tr></tbody></table>'
    """
    sides = ["right" if dtype.is_numeric() else "left" for dtype in table.dtypes]
    head, *body = (
        "".join(
            f'<{tag} style="text-align: {side}">{escape(text)}</{tag}>' for side, text in zip(sides, row, strict=True)
        )
        for tag, row in [("th", table.columns), *(("td", map(cell, row)) for row in table.iter_rows())]
    )
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
