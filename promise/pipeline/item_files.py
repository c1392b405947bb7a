"""Files of item ids, one per line: read, checked, and turned into item indices."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig

#: The lists of items that `evaluation` may name a file for.
LISTS = ("allow", "deny")


def read_ids(name: str, path: str | Path) -> pl.Series:
    """Reads the item ids of a text file.

    Args:
        name: The dial that names the file.
        path: One id a line, as the input file has it; blank lines are skipped.

    Returns:
        The stripped lines (String), null where one is blank.

    Raises:
        ValueError: If the file is missing, is no .txt, or holds no id at all.
    """
    path = Path(str(path))  # a number is typed as easily
    if path.suffix != ".txt":
        raise ValueError(f"{name} must name a .txt file, got {path}")
    if not path.is_file():
        raise ValueError(f"{name}={path} is no file")
    try:
        lines = [line.strip() or None for line in path.read_text("utf-8-sig").split("\n")]
    except UnicodeDecodeError:
        raise ValueError(f"{name}={path} is no text") from None
    if not any(lines):
        raise ValueError(f"{name}={path} must hold at least one item id, got none")
    return pl.Series("id", lines, dtype=pl.String)


def indices_of(name: str, path: str | Path, lines: pl.Series, catalogue: pl.Series) -> NDArray[np.int64]:
    """Finds items by their ids.

    Args:
        name: The dial that named them.
        path: The file that they are of.
        lines: What `read_ids` read.
        catalogue: (I,) id of every item.

    Returns:
        (n,) item indices, ascending, each once.

    Raises:
        ValueError: If an id is no integer where the catalogue's are, or not of the catalogue; the first one is named
            and all are counted.
    """
    ids = lines.cast(catalogue.dtype, strict=False)
    if (wrong := ids.is_null() & lines.is_not_null()).any():
        row = wrong.arg_max() or 0
        raise ValueError(f"{name}={path} must hold one item id a line, got {lines[row]!r} in line {row + 1}")
    distinct, places = ids.drop_nulls().unique(maintain_order=True), {item: at for at, item in enumerate(catalogue)}
    if unknown := [item for item in distinct if item not in places]:
        raise ValueError(
            f"{name} names {len(unknown)} of {len(distinct)} items that the data don't have, first {unknown[0]}"
        )
    return np.array(sorted(places[item] for item in distinct))


def item_lists(
    cfg: DictConfig, accepts: Collection[str], target: str, catalogue: pl.Series
) -> dict[str, NDArray[np.int64]]:
    """Indices of the items that are allowed or denied, by the name of the list; absent where there is none.

    Args:
        cfg: The root config, which may name their files.
        accepts: Parameters of the ranker.
        target: The ranker, for the error.
        catalogue: (I,) id of every item.

    Raises:
        ValueError: If a file holds no item ids of these data, the ranker takes no such list, or no item is left.
    """
    found = {}
    for name in LISTS:
        if (path := cfg.evaluation[name]) is not None:
            if name not in accepts:
                raise ValueError(f"evaluation.{name}={path} means nothing to {target}")
            lines = read_ids(f"evaluation.{name}", path)
            found[name] = indices_of(f"evaluation.{name}", path, lines, catalogue)
    if not len(np.setdiff1d(found.get("allow", np.arange(len(catalogue))), found.get("deny", ()))):
        raise ValueError(f"evaluation.deny={cfg.evaluation.deny} leaves no item to rank")
    return found
