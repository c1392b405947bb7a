"""Co-occurrence tables as a stage: the nearest items of every item, by training histories and by texts."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy import sparse
from torch import Tensor

from promise.pipeline.config import plain
from promise.pipeline.store import Artifact
from promise.search.rankers.cooccurrence import co_visited

#: The file of the tables within the stage.
TABLES = "tables.safetensors"

#: Items whose similarities to all others are held at once.
ITEMS_AT_ONCE = 1024

#: A neighbour table: items, counts and factors, each (I, C), by these names.
Table = dict[str, Tensor]


def cooccurrence_stage(pipeline: Any) -> Artifact | None:
    """The tables in the store, counted if need be; None where the configuration has none."""
    if not pipeline.cfg.cooccurrence:
        return None
    config = plain(pipeline.cfg.cooccurrence)
    config.pop("scale")  # it acts in a search alone

    def build(folder: Path) -> dict[str, Any]:
        count, texts = pipeline.histories.item_count, pipeline.item_words
        tables: dict[str, Table] = {}
        counting = dict(config)
        near, alike = counting.pop("neighbours"), counting.pop("text_neighbours")
        if near:
            tables["co_visits"] = co_visit_table(pipeline.histories.training_items(), count, near, texts, **counting)
        if alike:
            tables["texts"] = text_table(texts, count, alike)
        flat = {f"{name}.{part}": values for name, table in tables.items() for part, values in table.items()}
        save_file({name: values.contiguous() for name, values in flat.items()}, folder / TABLES)
        return {
            "fingerprint": fingerprint_of_tables(config, flat),
            "with_any": {name: int((table["counts"][:, 0] > 0).sum()) for name, table in tables.items()},
        }

    return pipeline.stage("cooccurrence", config, {"data": pipeline.data.fingerprint}, build)


def cooccurrence_tables(pipeline: Any) -> dict[str, Tensor]:
    """Tensors for `promise.models.cooccurrence.wrap`, by name: the stage's tables, and the sequences that were counted.

    The sequences (`sequences.items`, `sequences.offsets`) serve training alone.
    """
    artifact = pipeline.cooccurrence
    if artifact is None:
        return {}
    items, offsets = (torch.from_numpy(np.array(part)) for part in pipeline.histories.training_items())
    return load_file(artifact.path / TABLES) | {"sequences.items": items, "sequences.offsets": offsets}


def fingerprint_of_tables(config: dict[str, Any], tables: dict[str, Tensor]) -> str:
    """First 16 hex digits of the SHA-256 of options and tables: items, counts and factors."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name, values in sorted(tables.items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(np.ascontiguousarray(values.numpy()).tobytes())
    return digest.hexdigest()[:16]


def co_visit_table(
    training: tuple[NDArray[np.integer], NDArray[np.int64]],
    item_count: int,
    count: int,
    words: sparse.csr_matrix | None,
    *,
    window: int,
    decay: float,
    backward: float,
    rarity: float,
    text_weight: float,
) -> Table:
    """Candidates for the `count` items of the highest similarity of every item, as `co_visited` has it.

    They are as many more as one user can displace, so that the nearest of a count without any one user are among them.

    Returns:
        Tables (I, count + those more), the nearest first; ties go to the lower item index.
    """
    pairs = co_visited(
        training, item_count, window=window, decay=decay, backward=backward, rarity=rarity, text_weight=text_weight,
        words=words,
    )  # fmt: skip
    candidates = count + displaced(*training, window)
    near = pairs.ranks < candidates
    place = pairs.items[near], pairs.ranks[near]
    items = np.repeat(np.arange(item_count)[:, None], candidates, 1)
    counts, factors = (np.zeros((item_count, candidates), np.float32) for _ in range(2))
    items[place], counts[place], factors[place] = pairs.neighbours[near], pairs.counts[near], pairs.factors[near]
    named = {"items": items, "counts": counts, "factors": factors}
    return {name: torch.from_numpy(values) for name, values in named.items()}


def displaced(items: NDArray[np.integer], offsets: NDArray[np.int64], window: int) -> int:
    """The most neighbours of one item that one user can have added to: within the window of each of its places."""
    if not len(items):
        return 0
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pairs, places = np.unique(np.stack((owners, items)), axis=1, return_counts=True)
    return int(min(2 * window * places.max(), np.bincount(pairs[0]).max() - 1))


def text_table(words: sparse.csr_matrix | None, item_count: int, count: int) -> Table:
    """The `count` items of the most similar words of every item; their similarity is the square of the cosine.

    Args:
        words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.
        item_count: Items of the catalogue, I.
        count: Neighbours of every item, k >= 1.

    Returns:
        Tables (I, k): the item itself with a count of 0 where there are fewer or no words.
    """
    items = np.repeat(np.arange(item_count)[:, None], count, 1)
    similar = np.zeros((item_count, count), np.float32)
    if words is not None:
        rows = words.tocsr().astype(np.float32)
        most = min(count, item_count - 1)
        for first in range(0, item_count, ITEMS_AT_ONCE):
            cosines = (rows[first : first + ITEMS_AT_ONCE] @ rows.T).toarray()
            own = np.arange(len(cosines))
            cosines[own, first + own] = -1.0
            best = np.argsort(-cosines, axis=1, kind="stable")[:, :most]
            found = np.take_along_axis(cosines, best, 1)
            part = slice(first, first + len(cosines))
            items[part, :most] = np.where(found > 0, best, first + own[:, None])
            similar[part, :most] = np.square(found.clip(0))
    counts = torch.from_numpy(similar)
    return {"items": torch.from_numpy(items), "counts": counts, "factors": torch.ones_like(counts)}
