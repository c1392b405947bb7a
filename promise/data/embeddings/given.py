"""GivenEmbedding: item vectors computed elsewhere, from a Parquet or .npy file, matched to the items by their ids."""

import hashlib
import logging
from io import BufferedReader
from pathlib import Path

import numpy as np
import polars as pl

from promise.data.embeddings.vectors import digest
from promise.data.histories import Histories
from promise.data.item_table import whole_numbers

logger = logging.getLogger(__name__)

_WHOSE = "ids_path=FILE.txt tells whose they are"


class GivenEmbedding:
    """Vectors computed elsewhere, matched to the items by their ids; rows of other ids are left out.

    Args:
        path: a Parquet file with the column `id`, and either one column of lists of numbers or several of numbers; or a
            .npy file with a 2-D array of numbers.
        ids_path: of a .npy file the text file with the id of each row, one a line; null = its rows are the items in
            catalogue order.
        missing: "refuse" items that have no usable row, or give them the "mean" of all others.

    Raises:
        ValueError: missing is something else.
    """

    def __init__(self, path: str, ids_path: str | None, missing: str = "refuse") -> None:
        if missing not in ("refuse", "mean"):
            raise ValueError(f"missing must be refuse or mean for vectors of {path}, got {missing}")
        self.missing = missing
        self.path = Path(path).expanduser()
        self.ids = None if ids_path is None else Path(ids_path).expanduser()

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Reads the file: (I, E) float32, as it stands but for the rows that `missing` fills.

        Raises:
            ValueError: a file cannot be read or is of another kind, an id is there twice, or an item has no row, or one
                that is not finite in float32 or holds one number throughout, and it is not to be filled, or no item
                has another one; all of these are counted.
        """
        ids, numbers = self._parquet() if self.path.suffix == ".parquet" else self._array(len(items))
        if numbers.ndim != 2 or 0 in numbers.shape:
            raise ValueError(f"{self.path}: expected a 2-D array (items, width), got shape {numbers.shape}")
        with np.errstate(over="ignore"):  # an overflow to infinity is reported below
            vectors = numbers.astype(np.float32)
        missing = np.zeros(len(items), bool)
        if ids is not None:
            if len(ids) != len(vectors):
                raise ValueError(f"{self.ids or self.path} must hold {len(vectors)} ids, one per row, got {len(ids)}")
            ids = whole_numbers(ids)
            if ids.is_duplicated().any():
                raise ValueError(f"{self.path}: the id {ids.filter(ids.is_duplicated())[0]} is there twice")
            place = pl.DataFrame({"id": ids, "row": np.arange(len(ids))})
            wanted = items.select(pl.col("id").cast(pl.String))
            rows = wanted.join(place, on="id", how="left", maintain_order="left")["row"]
            missing = rows.is_null().to_numpy()
            vectors = vectors[rows.fill_null(0).to_numpy()]
        finite = np.isfinite(vectors).all(axis=1)
        constant = (vectors == vectors[:, :1]).all(axis=1) & (vectors.shape[1] > 1)
        faults = {
            "no row": missing,
            "a number that is not finite in float32": ~missing & ~finite,
            "one number throughout": ~missing & finite & constant,
        }
        found = [
            f"{wrong.sum()} of {len(items)} items have {what}, first the item {items['id'][int(wrong.argmax())]}"
            for what, wrong in faults.items()
            if wrong.any()
        ]
        if found:
            said = f"{self.path}: {'; '.join(found)}"
            wrong = np.logical_or.reduce(list(faults.values()))
            if self.missing == "refuse" or wrong.all():
                hint = "" if wrong.all() else " (embeddings.missing=mean, or content.missing=mean, fills them)"
                raise ValueError(said + hint)
            logger.warning("%s: they get the mean of all others", said)
            vectors[wrong] = vectors[~wrong].mean(axis=0)
        return vectors

    def fingerprint(self) -> str:
        """Returns a hash of the files' contents; ValueError where a file cannot be read."""
        contents = []
        for path in filter(None, (self.path, self.ids)):
            with _opened(path) as file:
                contents.append(hashlib.file_digest(file, "sha256").hexdigest())
        return digest("given-2", *contents, *(["mean"] if self.missing == "mean" else []))

    def _array(self, item_count: int) -> tuple[pl.Series | None, np.ndarray]:
        """The rows' ids (n,) and numbers (n, E) of a .npy file; the ids are None where they are the catalogue's."""
        with _opened(self.path) as file:
            try:
                numbers = np.lib.format.read_array(file, allow_pickle=False)
            except (ValueError, EOFError):
                numbers = np.array("")
        if numbers.dtype.kind not in "fiu":
            raise ValueError(f"{self.path} is neither Parquet nor a .npy file of numbers")
        if self.ids is not None:
            with _opened(self.ids) as file:
                try:
                    return pl.Series(file.read().decode("utf-8-sig").splitlines(), dtype=pl.String), numbers
                except UnicodeDecodeError as error:
                    raise ValueError(f"{self.ids} is no text") from error
        if numbers.ndim == 2 and len(numbers) != item_count:
            wanted = f"expected {item_count} rows, one per item"
            raise ValueError(f"{self.path}: {wanted}, got {len(numbers)}: {_WHOSE}")
        said = "is matched by position: its rows are taken as the items by id"
        logger.warning("%s %s; %s", self.path, said, _WHOSE)
        return None, numbers

    def _parquet(self) -> tuple[pl.Series, np.ndarray]:
        """The ids (n,) and numbers (n, E) of a Parquet file; rows with nothing in a column are left out."""
        with _opened(self.path) as file:
            try:
                table = pl.read_parquet(file).drop_nulls()
            except pl.exceptions.PolarsError as error:
                raise ValueError(f"{self.path} is no Parquet file") from error
        if "id" not in table.columns:
            raise ValueError(f"{self.path} must have the column id, got {', '.join(table.columns)}")
        ids, numbers = table["id"].cast(pl.String), table.drop("id")
        (first, *more) = numbers.dtypes or [pl.Null()]
        if isinstance(first, pl.List | pl.Array) and first.inner.is_numeric() and not more:
            width = numbers.to_series().cast(pl.List(pl.Float64)).list.len()
            if width.n_unique() > 1:
                got = f"lengths {sorted(width.unique())[:3]}"
                raise ValueError(f"{self.path}: lists must be of one length, got {got}")
            flat = numbers.to_series().explode().to_numpy()
            return ids, flat.reshape(len(ids), -1) if len(ids) else np.zeros((0, 0))
        if other := [name for name, kind in numbers.schema.items() if not kind.is_numeric()]:
            raise ValueError(f"{self.path} must hold numbers or one column of lists, got {other}")
        return ids, numbers.to_numpy()


def _opened(path: Path) -> BufferedReader:
    """The file of an option; raises ValueError where it cannot be read."""
    try:
        return path.open("rb")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
