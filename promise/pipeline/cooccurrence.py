"""Co-occurrence tables as a stage: the nearest items of every item, by training histories and by texts."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from scipy import sparse
from torch import Tensor

from promise.pipeline.config import plain
from promise.pipeline.store import Artifact
from promise.search.nearest import cosines, largest, row_blocks
from promise.search.rankers.cooccurrence import co_visited

log = logging.getLogger(__name__)

#: The file of the tables within the stage.
TABLES = "tables.safetensors"

#: Items up to which neighbours by texts are exact, and of how many items the words are by which they are found above.
EXACT_ITEMS, COMMON = 100_000, 500

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
    candidates = count + displaced(*training, window)
    pairs = co_visited(
        training, item_count, candidates, window=window, decay=decay, backward=backward, rarity=rarity,
        text_weight=text_weight, words=words,
    )  # fmt: skip
    place = pairs.items, pairs.ranks
    items = np.repeat(np.arange(item_count)[:, None], candidates, 1)
    counts, factors = (np.zeros((item_count, candidates), np.float32) for _ in range(2))
    items[place], counts[place], factors[place] = pairs.neighbours, pairs.counts, pairs.factors
    named = {"items": items, "counts": counts, "factors": factors}
    return {name: torch.from_numpy(values) for name, values in named.items()}


def displaced(items: NDArray[np.integer], offsets: NDArray[np.int64], window: int) -> int:
    """The most neighbours of one item that one user can have added to: within the window of each of its places."""
    if not len(items):
        return 0
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    width = int(items.max()) + 1
    pairs, places = np.unique(owners * width + items, return_counts=True)
    distinct, most = np.bincount(pairs // width), np.zeros(int(owners[-1]) + 1, np.int64)
    np.maximum.at(most, pairs // width, places)
    return int(np.minimum(2 * window * most, distinct - 1).max())


def text_table(words: sparse.csr_matrix | None, item_count: int, count: int) -> Table:
    """The `count` items of the most similar words of every item; their similarity is the square of the cosine.

    Exact up to `EXACT_ITEMS` items. Above, where all pairs would take hours, neighbours are looked for by words that no
    more than `COMMON` items share, twice as many as are wanted, and then chosen by all words.

    Args:
        words: TF-IDF of the items' words (I, V), rows of length 1 or 0; None = no item has any.
        item_count: Items of the catalogue, I.
        count: Neighbours of every item, k >= 1.

    Returns:
        Tables (I, k), the nearest first, ties by item: the item itself with a count of 0 where there are fewer.
    """
    items = np.repeat(np.arange(item_count)[:, None], count, 1)
    similar = np.zeros((item_count, count), np.float32)
    if words is not None:
        words = words.tocsr().astype(np.float32)
        often, telling = np.bincount(words.indices, minlength=words.shape[1]), words
        if item_count > EXACT_ITEMS:
            log.info("neighbours by texts: more than %d items, found by words of %d at most", EXACT_ITEMS, COMMON)
            often, telling = often[often <= COMMON], words[:, often <= COMMON]
        by_word = telling.T.tocsr()
        owner = np.repeat(np.arange(item_count), np.diff(telling.indptr))
        for part in row_blocks(np.bincount(owner, often[telling.indices], item_count), "neighbours by texts"):
            found = telling[part] @ by_word
            lengths = np.diff(found.indptr)
            itself = np.repeat(np.arange(part.start, part.stop), lengths)
            found.data[found.indices == itself] = 0.0
            candidates, rows, _ = largest(lengths, found.indices, found.data, count if telling is words else 2 * count)
            near, alike = found.indices[candidates], found.data[candidates]
            if telling is not words:
                alike = cosines(words, part.start + rows, near)
            chosen, rows, ranks = largest(np.bincount(rows, minlength=len(lengths)), near, alike, count)
            items[part.start + rows, ranks] = near[chosen]
            similar[part.start + rows, ranks] = np.square(alike[chosen])
    counts = torch.from_numpy(similar)
    return {"items": torch.from_numpy(items), "counts": counts, "factors": torch.ones_like(counts)}
