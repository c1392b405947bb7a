"""New items in the catalogue of a trained model: their texts give them semantic IDs and content, nothing is trained."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from promise.data.embeddings.text import word_weights
from promise.data.embeddings.vectors import reduced, unit_rows
from promise.data.item_table import integers_if_all_are
from promise.ids.collisions import free_paths
from promise.ids.quantizers.paths import refitted
from promise.ids.semantic_ids import SemanticIds
from promise.pipeline.model_folder import Model
from promise.pipeline.networks import NetworkInputs, prefix_means, save_weights, wants_vectors

#: Width of the vectors of words by which old and new items are compared.
DIM = 96


def unknown_items(model: Model, items: pl.DataFrame) -> pl.DataFrame:
    """The rows of a table of items (id, text, title, category) that a model does not have yet, ids in its form.

    ValueError if the model's ids are integers and one of these is none.
    """
    own, ids = model.items["id"], integers_if_all_are(items["id"].cast(pl.String))
    if own.dtype.is_integer() and not ids.dtype.is_integer():
        odd = ids.filter(ids.cast(own.dtype, strict=False).cast(pl.String).ne_missing(ids))[0]
        raise ValueError(f"data.items: the model's item ids are integers, got {odd!r}")
    items = items.with_columns(ids.cast(own.dtype).alias("id"))
    return items.filter(~items["id"].is_in(own.implode()))


def described_by_words(model: Model, items: pl.DataFrame) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """The N new items with a word that others have too, and vectors of the words of all (I + N, E), of length 1 or 0.

    ValueError if no item of the model has a text, or no new one has a word of theirs.
    """
    texts = pl.concat([model.items["text"], items["text"]])
    words = None if model.items["text"].null_count() == len(model.items) else word_weights(texts, 2, 2)
    if words is None:
        raise ValueError("data.items: new items are placed by their texts, and the model's items have none")
    vectors, count = unit_rows(reduced(words, DIM, 0, "texts")), len(model.items)
    told = vectors[count:].any(axis=1)
    if not told.any():
        raise ValueError(f"data.items: none of {len(items)} new items has a word that other items have")
    return items.filter(pl.Series(told)), np.concatenate([vectors[:count], vectors[count:][told]])


def with_new_items(model: Model, items: pl.DataFrame, vectors: NDArray[np.float32], weights: Path) -> Model:
    """The model with new items; the networks of the model that is given are changed in place.

    A new item gets the nearest free path: codewords are those that the vectors of the old items give to their paths.
    Its content vector is what a linear map of the old ones makes of its vector. Nobody has bought it, so nothing else
    is known of it.

    Args:
        model: The model.
        items: N new items: id, text, title, category.
        vectors: (I + N, E) of all items.
        weights: File of the weights to write.

    Raises:
        ValueError: If fewer than N paths are free.
        NotImplementedError: If its reward takes no new items.
    """
    ids, count = model.inputs.ids, len(model.items)
    free = math.prod(ids.level_sizes) - model.inputs.trie.nodes[-1]
    if free < len(items):
        raise ValueError(f"data.items: {len(items)} new items need a path each, {free} of {ids.level_sizes} are free")
    codebooks = refitted(vectors[:count], ids.codes, ids.level_sizes)
    codes = free_paths(vectors[count:], codebooks, {row.tobytes() for row in ids.codes})
    content = model.inputs.item_vectors
    if content is not None:
        content = np.concatenate([content, mapped(vectors, content)])
    trie, grown = model.inputs.trie, model.inputs.trie.appended(codes)
    generator, reward = model.networks
    generator.append_items(torch.from_numpy(codes), None if content is None else torch.from_numpy(content[count:]))
    if reward is not None:
        depths = range(1, trie.levels + 1)
        read = content is not None and wants_vectors(model.config["reward"])
        reward.extend(
            [grown.prefixes(depth) for depth in depths],
            [trie.moved(depth, grown) for depth in depths],
            prefix_means(torch.from_numpy(content) if read else None, grown),
            torch.stack([grown.item_nodes(depth) for depth in depths], 1),
        )
    save_weights(weights, {"generator": generator, "reward": reward})
    last = np.arange(len(items), dtype=np.int32)
    ranks = None if ids.ranks is None else np.append(ids.ranks, ids.ranks.max() + 1 + last)
    all_ids = SemanticIds(np.concatenate([ids.codes, codes]), ids.level_sizes, ids.quality, ranks)
    tables = {name: with_rows(name, table, len(items)) for name, table in model.inputs.tables.items()}
    counts = model.counts
    if counts is not None:
        counts = pl.concat([counts, pl.zeros(len(items), counts.dtype, eager=True)])
    return replace(
        model,
        inputs=NetworkInputs(all_ids, grown, content, tables),
        items=pl.concat([model.items, items], how="diagonal"),
        weights=weights,
        origin={**model.origin, "appended": model.origin.get("appended", 0) + len(items)},
        counts=counts,
    )


def mapped(vectors: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Content vectors (N, C) of new items by vectors (I + N, E) of all, as long as the old ones (I, C) on average."""
    linear = np.linalg.lstsq(vectors[: len(known)], known)[0]
    return unit_rows(vectors[len(known) :] @ linear) * np.linalg.norm(known, axis=1).mean()


def with_rows(name: str, table: Tensor, count: int) -> Tensor:
    """A table of neighbours `NAME.items`, `NAME.counts` or `NAME.factors` (I, C) with new items, which have none."""
    if name.endswith(".items"):  # those without a neighbour have themselves
        more = torch.arange(len(table), len(table) + count, dtype=table.dtype)
        return torch.cat((table, more[:, None].expand(-1, table.shape[1])))
    return F.pad(table, (0, 0, 0, count))
