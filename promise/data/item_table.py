"""The table of items of a source: ids, texts, titles and categories, from files of any form."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from promise.data.tables import TableFile, collected


def item_table(
    files: Sequence[TableFile], item: str, texts: Sequence[str], category: str | None, first: bool = False
) -> pl.DataFrame:
    """Reads a table of items.

    Args:
        files: All have the columns.
        item: Column of the ids.
        texts: Columns that make the text, joined by full stops; the first of them is the title.
        category: Column of the category; None = there is none.
        first: Of several rows of one item the first one is taken; else that is an error where they differ.

    Returns:
        `id` (Int64 where the files are of text and every id is an integer, else String; distinct), `text`, `title`,
        `category` (String or null).

    Raises:
        ValueError: If an item has two rows that differ, or a row has no id; files and lines are named.
    """
    described = [*texts, *([] if category is None else [category])]
    columns = list(dict.fromkeys([item, *described]))
    own_id, own_row, own_file = "\0id", "\0row", "\0file"  # no column of a file is called so
    parts = [
        collected(file.scan(columns).with_row_index(own_row).with_columns(pl.lit(at).alias(own_file)), [file])
        for at, file in enumerate(files)
    ]
    rows = pl.concat(
        [part.with_columns(stripped(pl.col(item)).alias(own_id)) for part in parts], how="vertical_relaxed"
    )
    rows = rows.with_columns(whole_numbers(rows[own_id]))

    def place(row: int) -> str:
        file, line = rows.select(own_file, own_row).row(row)
        return files[file].line(line)

    if rows[own_id].is_duplicated().any():
        rows = rows.unique([own_id, *columns[1:]], keep="first", maintain_order=True)
    if first:
        rows = rows.filter(pl.col(own_id).is_not_null()).unique(own_id, keep="first", maintain_order=True)
    if not rows.height:
        raise ValueError(f"{files[0].name}: {files[0].path.name} has no rows")
    ids = rows[own_id].alias("id")
    if ids.null_count():
        raise ValueError(f"{files[0].name}: {place(ids.is_null().arg_max() or 0)}: the item has no {item}")
    if (again := ~ids.is_first_distinct()).any():
        second = again.arg_max() or 0
        before = ids.index_of(ids[second])
        raise ValueError(
            f"{files[0].name}: {place(second)}: item {ids[second]!r} has a row in {place(before or 0)} too, "
            "which says something else: keep one"
        )
    said = {column: words_of(rows[column]) for column in described}
    joined = pl.concat_str([said[text] for text in texts], separator=". ", ignore_nulls=True) if texts else pl.lit(None)
    typed = any(item in file.typed for file in files)
    return rows.select(
        ids if typed else integers_if_all_are(ids),
        joined.cast(pl.String).replace("", None).alias("text"),
        (said[texts[0]] if texts else pl.lit(None, pl.String)).alias("title"),
        (pl.lit(None, pl.String) if category is None else said[category]).alias("category"),
    )


def stripped(ids: pl.Expr) -> pl.Expr:
    """Ids as text without the blanks around them; null where nothing is left."""
    return ids.cast(pl.String).str.strip_chars().replace("", None)


def whole_numbers(ids: pl.Series) -> pl.Series:
    """Ids without the .0 of integers that became floats in some file, because one was missing; others as they are.

    >>> [whole_numbers(pl.Series(ids)).to_list() for ids in (["31.0", "7", None], ["31.0", "a"])]
    [['31', '7', None], ['31.0', 'a']]
    """
    return ids.str.strip_suffix(".0") if ids.str.contains(r"^-?\d+(\.0)?$").all() else ids


def integers_if_all_are(ids: pl.Series) -> pl.Series:
    """Ids as integers where every one is written as an integer is, so that it comes back as it was.

    >>> [integers_if_all_are(pl.Series(ids)).to_list() for ids in (["7", "-12"], ["7", "012"], ["7", "a"])]
    [[7, -12], ['7', '012'], ['7', 'a']]
    """
    values = ids.cast(pl.Int64, strict=False)
    return values if values.null_count() == 0 and (values.cast(pl.String) == ids).all() else ids


def words_of(values: pl.Series) -> pl.Series:
    """Texts, numbers, or lists of them as Parquet and JSON have them, as one text each; null where there is nothing.

    >>> words_of(pl.Series([" a ", "", None, '["x", ["y"]]'])).to_list(), words_of(pl.Series([["x", "y"]])).to_list()
    (['a', None, None, 'x. y'], ['x. y'])
    """
    if values.dtype.is_nested():
        return pl.Series([". ".join(words(value)) or None for value in values.to_list()], dtype=pl.String)
    text = values.cast(pl.String).str.strip_chars().replace("", None)
    if not text.str.starts_with("[").any():
        return text
    return pl.Series([_listed(each) for each in text.to_list()], dtype=pl.String)


def words(value: Any) -> list[str]:
    """Every non-blank text in a text, a number or (nested) lists of them."""
    if isinstance(value, list):
        return [word for part in value for word in words(part)]
    # a ? for half a surrogate pair, which JSON can escape but no UTF-8 file can hold
    text = "" if value is None else str(value).encode(errors="replace").decode().strip()
    return [text] if text else []


def _listed(text: str | None) -> str | None:
    if text is None or not text.startswith("["):
        return text
    try:
        return ". ".join(words(json.loads(text))) or None
    except (ValueError, RecursionError):
        return text
