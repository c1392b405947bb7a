"""Files of item ids, one per line: read, checked, and turned into item indices."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

#: The lists of items that `evaluation` may name a file for.
LISTS = ("allow", "deny")

INTEGERS = np.iinfo(np.int64)


def read_ids(name: str, path: str | Path) -> NDArray[np.int64]:
    """Reads the item ids of a text file.

    Args:
        name: The dial that names the file.
        path: One integer a line, as the input file has it; blank lines are skipped.

    Returns:
        (n,) int64 ids, ascending, each once.

    Raises:
        ValueError: If the file is missing, is no .txt, holds something else, or no id at all.
    """
    path = Path(str(path))  # a number is typed as easily
    if path.suffix != ".txt":
        raise ValueError(f"{name} must name a .txt file, got {path}")
    if not path.is_file():
        raise ValueError(f"{name}={path} is no file")
    try:
        lines = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{name}={path} is no text") from None
    ids = []
    for number, line in enumerate(lines, start=1):
        if word := line.strip():
            try:
                value = int(word)
            except ValueError:
                value = INTEGERS.max + 1
            if not INTEGERS.min <= value <= INTEGERS.max:
                raise ValueError(f"{name}={path} must hold one item id a line, got {word!r} in line {number}")
            ids.append(value)
    if not ids:
        raise ValueError(f"{name}={path} must hold at least one item id, got none")
    return np.unique(np.array(ids, dtype=np.int64))


def indices_of(name: str, ids: NDArray[np.int64], catalogue: NDArray[np.int64]) -> NDArray[np.int64]:
    """Finds items by their ids.

    Args:
        name: The dial that named them.
        ids: (n,) distinct.
        catalogue: (I,) id of every item.

    Returns:
        (n,) item indices, in the order of the ids.

    Raises:
        ValueError: If an id is not of the catalogue; the first one is named and all are counted.
    """
    places = {item: place for place, item in enumerate(catalogue.tolist())}
    if unknown := [item for item in ids.tolist() if item not in places]:
        raise ValueError(
            f"{name} names {len(unknown)} of {len(ids)} items that the data don't have, first {unknown[0]}"
        )
    return np.array([places[item] for item in ids.tolist()])


def item_lists(
    cfg: DictConfig, accepts: Collection[str], target: str, catalogue: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """Indices of the items that are allowed or denied, by the name of the list; absent where there is none.

    Args:
        cfg: The root config, which may name their files.
        accepts: Parameters of the ranker.
        target: The ranker, for the error.
        catalogue: (I,) id of every item.

    Raises:
        ValueError: If a file holds no item ids of these data, or the ranker takes no such list.
    """
    found = {}
    for name in LISTS:
        if (path := cfg.evaluation[name]) is not None:
            if name not in accepts:
                raise ValueError(f"evaluation.{name}={path} means nothing to {target}")
            found[name] = indices_of(f"evaluation.{name}", read_ids(f"evaluation.{name}", path), catalogue)
    return found
