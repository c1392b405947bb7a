"""GivenCodes: codes of the items from a file made elsewhere, matched by item id."""

import json
import logging
from glob import escape
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from promise.ids.quantizers.checks import checked_vectors

log = logging.getLogger(__name__)

MOST_CODES = 2**20  # of a level: its codewords have to fit into memory


class GivenCodes:
    """Codes made elsewhere; a code's codeword is the mean of what the levels above leave of its items' embeddings.

    Args:
        codes_path: .json, an object of lists by item id as LC-Rec and LETTER have it ({"0": ["<a_12>", "<b_3>"]}); or
            .parquet, .csv, .tsv or .jsonl, the column `id` and either one column of lists or one column per level.
        items: (I,) ids of the items, in catalogue order; rows of other ids are left out and counted.

    Attributes:
        level_sizes: (L,) one more than the largest code of each level of the file.
        codebooks: after `fit`, L arrays (K_b, E); a code without items has a codeword of 0.

    Raises:
        ValueError: the file cannot be read, an id is there twice, an item has no row, lists differ in length, or a
            code is no integer from 0 to 2**20 - 1.
    """

    def __init__(self, codes_path: str, *, items: pl.Series) -> None:
        name = f"ids.codes_path={codes_path}"
        rows, codes = _read(Path(codes_path).expanduser(), name)
        self.level_sizes = tuple(int(code) + 1 for code in codes.max(axis=0))
        wanted = items.cast(pl.String).alias("id").to_frame()
        place = wanted.join(rows.to_frame().with_row_index("row"), on="id", how="left", maintain_order="left")["row"]
        if missing := place.null_count():
            first = items[place.is_null().arg_max() or 0]
            raise ValueError(f"{name}: {missing} of {len(items)} items have no row, first the item {first!r}")
        if unknown := len(rows) - len(items):
            log.warning("%s: %d of %d rows are of items that the data do not have", name, unknown, len(rows))
        self.codebooks: list[NDArray[np.float32]] = []
        self._codes = codes[place.to_numpy()]

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Makes codewords for the codes, of vectors (I, E), one row per item of the catalogue; the seed is not used."""
        left, self.codebooks = checked_vectors(vectors).copy(), []
        for column, size in zip(self._codes.T, self.level_sizes, strict=True):
            members = sparse.csr_matrix(
                (np.ones(len(left), np.float32), (column, np.arange(len(left)))), (size, len(left))
            )
            counts = np.maximum(np.bincount(column, minlength=size), 1)
            means = np.asarray(members @ left / counts[:, None], np.float32)
            left -= means[column]
            self.codebooks.append(means)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """The items' codes (I, L) as the file has them, whatever their vectors (I, E)."""
        if len(vectors) != len(self._codes):
            raise ValueError(f"ids=given has codes of {len(self._codes)} items, got vectors of {len(vectors)}")
        return self._codes


def _read(path: Path, name: str) -> tuple[pl.Series, NDArray[np.int32]]:
    """The ids (n,), distinct, and the codes (n, L) of a file."""
    try:
        table = _table(path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{name} cannot be read: {str(error).splitlines()[0]}") from error
    if "id" not in table.columns:
        raise ValueError(f"{name} must have the column id, got {', '.join(table.columns)}")
    ids, levels = table["id"].cast(pl.String), table.drop("id")
    if not len(ids) or not levels.width:
        raise ValueError(f"{name} holds no codes")
    if ids.is_duplicated().any():
        raise ValueError(f"{name}: the item {ids.filter(ids.is_duplicated())[0]!r} is there twice")
    listed = levels.width == 1 and levels.dtypes[0].is_nested()
    text = pl.all().cast(pl.List(pl.String)) if listed else pl.concat_list(pl.all().cast(pl.String))
    lists = levels.select(text).to_series()
    lengths = lists.list.len().fill_null(0)
    usual = int(lengths.mode().max())  # type: ignore[arg-type]
    if (odd := (lengths != usual) | (lengths == 0)).any():
        row = odd.arg_max() or 0
        raise ValueError(
            f"{name}: all items must have as many codes, {usual}, the item {ids[row]!r} has {lengths[row]}"
        )
    texts = lists.explode()
    numbers = texts.str.replace(r"^<[A-Za-z]+_(\d+)>$", "$1").str.extract(r"^\s*(\d+)\s*$").cast(pl.Int64, strict=False)
    if (wrong := (numbers.is_null() | (numbers >= MOST_CODES).fill_null(True))).any():
        place = wrong.arg_max() or 0
        raise ValueError(
            f"{name}: codes must be integers from 0 to {MOST_CODES - 1}, got {texts[place]!r} for the item "
            f"{ids[place // usual]!r}"
        )
    return ids, numbers.to_numpy().astype(np.int32).reshape(len(ids), usual)


def _table(path: Path) -> pl.DataFrame:
    """The rows of a file, ids of text files as they stand there."""
    if path.suffix == ".json":
        # A dictionary would hide an id that is there twice.
        pairs = json.loads(path.read_text("utf-8"), object_pairs_hook=list)
        if not isinstance(pairs, list) or not all(
            isinstance(pair, tuple) and isinstance(pair[1], list) for pair in pairs
        ):
            raise ValueError("it must be an object of lists of codes by item id")
        lists = [[str(code) for code in codes] for _, codes in pairs]
        return pl.DataFrame({"id": [item for item, _ in pairs], "codes": pl.Series(lists, dtype=pl.List(pl.String))})
    if path.suffix == ".parquet":
        return pl.read_parquet(path, glob=False)
    if path.suffix == ".jsonl":
        return pl.read_ndjson(escape(str(path)), infer_schema_length=None)
    if path.suffix in (".csv", ".tsv"):
        return pl.read_csv(path, glob=False, infer_schema=False, separator="\t" if path.suffix == ".tsv" else ",")
    raise ValueError("it must be a .json, .jsonl, .csv, .tsv or .parquet file")
