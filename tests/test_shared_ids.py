"""`ids.collisions=shared` from data to a model folder: distinct items of every ranker, and the same everywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from promise.api import Recommender

Run = Callable[..., Any]
SHARED = ("ids.collisions=shared", "ids.levels=2", "ids.codes=4")


@pytest.fixture(scope="module")
def shared_model(run: Run) -> Path:
    """The folder of a tiny model whose 40 items share at most 16 paths."""
    return Path(run("train", *SHARED).json["paths"]["model"])


def test_items_of_a_path_stand_by_popularity(shared_model: Path) -> None:
    model = Recommender.load(shared_model).model
    ids, trie, counts = model.inputs.ids, model.inputs.trie, model.counts
    assert ids.ranks is not None and counts is not None and ids.codes.shape == (40, 2)
    assert trie.levels == 2 and trie.nodes[-1] == len(np.unique(ids.codes, axis=0)) <= 16
    for leaf in range(trie.nodes[-1]):
        begin, end = trie.leaf_range(2, torch.tensor(leaf))
        items = trie.leaf_items[begin:end].tolist()
        assert items == sorted(items, key=lambda item: (-counts[item], item))
    assert model.networks[0].level_sizes == (4, 4)


@pytest.mark.parametrize("search", ["guided", "plain", "exhaustive", "certified", "best_of_n", "pmi", "popularity"])
def test_every_ranker_gives_distinct_items(run: Run, shared_model: Path, search: str) -> None:
    said = run("evaluate", *SHARED, f"search={search}", "evaluation.remove_seen=true").json
    assert said["invalid_rate"] == said["duplicate_rate"] == said["incomplete_users"] == 0
    assert said["trained"] == []


def test_the_folder_recommends_what_evaluate_finds(run: Run, world: Any, shared_model: Path, tmp_path: Path) -> None:
    run("evaluate", *SHARED, f"predictions={tmp_path}/p.parquet", "split=test")
    found = pl.read_parquet(tmp_path / "p.parquet")
    histories = [world.histories[user][:-1] for user in found["user"]]
    recommender = Recommender.load(shared_model)
    assert recommender.recommend(histories, k=20) == [items[:20] for items in found["items"].to_list()]
    assert all(len(set(row)) == 40 for row in recommender.recommend(histories, k=40))  # on 16 leaves at most


def test_an_exported_search_expands_leaves(world: Any, shared_model: Path, tmp_path: Path) -> None:
    recommender, histories = Recommender.load(shared_model, remove_seen=True), list(world.histories.values())[:3]
    lists = {"allow": recommender.ids[:30], "deny": recommender.ids[3:5]}
    recommender.export(tmp_path / "search.pt2", 20, history=12, **lists)
    files = {"items.json": ""}
    program = torch.export.load(tmp_path / "search.pt2", extra_files=files)
    history = torch.zeros(3, 12, dtype=torch.int64)
    for row, items in zip(history, histories, strict=True):
        row[: len(items)] = torch.tensor([recommender.index[item] for item in items])
    items, _ = program.module()(history, torch.tensor([len(each) for each in histories]))
    names = json.loads(files["items.json"])
    found = [[names[item] for item in row if item >= 0] for row in items.tolist()]
    assert found == recommender.recommend(histories, 20, **lists)
    for row, own in zip(found, histories, strict=True):
        assert len(set(row)) == 20 and not {*row} & {*own, *lists["deny"]}
    assert recommender.explain(histories[0], found[0][0])["level"].to_list() == [1, 2]
    assert recommender.explain(histories[0], histories[0][0])["probability"][-1] == 0.0
