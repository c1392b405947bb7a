"""Files of item ids, one per line: read, checked, and turned into item indices."""

from collections.abc import Set
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from omegaconf import DictConfig

#: The lists of items that `evaluation` may name a file for.
LISTS = ("allow", "deny")


def read_ids(name: str, path: str | Path) -> pl.Series:
    """The stripped lines (String) of a text file of one id a line, null where one is blank; the option `name` gives it.

    ValueError if it is missing, is no .txt, or holds no id at all.
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


def indices_of(name: str, path: str | Path, catalogue: pl.Series) -> NDArray[np.int64]:
    """Indices (n,) of the items that a file names, ascending, each once, by the ids of a catalogue (I,).

    Raises:
        ValueError: As `read_ids`; or if an id is no integer where the catalogue's are, or not of the catalogue; the
            first one is named and all are counted.
    """
    lines = read_ids(name, path)
    ids = lines.cast(catalogue.dtype, strict=False)
    if (wrong := ids.is_null() & lines.is_not_null()).any():
        row = wrong.arg_max() or 0
        raise ValueError(f"{name}={path} must hold one item id a line, got {lines[row]!r} in line {row + 1}")
    distinct, places = ids.drop_nulls().unique(maintain_order=True), {item: at for at, item in enumerate(catalogue)}
    if unknown := [item for item in distinct if item not in places]:
        raise ValueError(
            f"{name} names {len(unknown)} of {len(distinct)} items that the catalogue does not have, first {unknown[0]}"
        )
    return np.array(sorted(places[item] for item in distinct))


def item_lists(cfg: DictConfig, accepts: Set[str], target: str, catalogue: pl.Series) -> dict[str, NDArray[np.int64]]:
    """Indices (n,) of the items of a catalogue (I,) that the config allows or denies, by the name of the list, if any.

    Raises:
        ValueError: If a file holds no item ids of these data, `target` takes no such list, or no item is left.
    """
    files = {name: path for name in LISTS if (path := cfg.evaluation[name]) is not None}
    for name in files.keys() - accepts:
        raise ValueError(f"evaluation.{name}={files[name]} means nothing to {target}")
    found = {name: indices_of(f"evaluation.{name}", path, catalogue) for name, path in files.items()}
    if not len(np.setdiff1d(found.get("allow", np.arange(len(catalogue))), found.get("deny", ()))):
        raise ValueError(f"evaluation.deny={cfg.evaluation.deny} leaves no item to rank")
    return found
