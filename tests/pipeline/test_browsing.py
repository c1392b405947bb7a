"""Tables to read: what they say of the tiny world, against its files, embeddings and IDs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promise.pipeline.browsing import (
    branch_table,
    history_table,
    item_table,
    items_below,
    level_table,
    nearest_table,
    spelled,
)


@pytest.fixture(scope="module")
def pipeline(pipeline_of: Callable[..., Any]) -> Any:
    return pipeline_of()


def test_items(pipeline: Any) -> None:
    table = item_table(pipeline, [3, -1, 0])
    assert table.columns == ["id", "semantic_id", "text"]
    assert table["id"].to_list() == ["16", None, "7"]  # ids are 7 + 3 i
    assert table["text"][0] == "kind3 word3 thing3" and table.row(1) == (None, None, None)
    assert table["semantic_id"][2] == spelled(pipeline.ids.codes[0])


def test_a_history(pipeline: Any, world: Any) -> None:
    table = history_table(pipeline, 0)
    assert table["id"].cast(int).to_list() == world.histories["user0"]
    assert table["part"].to_list()[-3:] == ["training", "validation", "test"]
    for user in (-1, 60):
        with pytest.raises(ValueError, match=rf"^user must lie in 0\.\.59, got {user}$"):
            history_table(pipeline, user)


def test_the_nearest_items(pipeline: Any) -> None:
    table = nearest_table(pipeline, 5, count=3)
    assert len(table) == 4 and table["id"][0] == "22" and table["shared_codes"][0] == pipeline.trie.levels
    assert table["cosine"][0] == 1.0 and table["cosine"].is_sorted(descending=True)
    vectors = pipeline.item_vectors / np.linalg.norm(pipeline.item_vectors, axis=1, keepdims=True)
    best = np.sort(np.delete(vectors @ vectors[5], 5))[::-1][:3]
    assert table["cosine"].to_list()[1:] == pytest.approx(best.tolist(), abs=1e-5)


def test_the_way_down(pipeline: Any) -> None:
    table, trie = branch_table(pipeline, 5), pipeline.trie
    assert table["depth"].to_list() == list(range(trie.levels + 1))
    assert table["items"][0] == 40 and table["items"][-1] == 1
    assert table["items"].is_sorted(descending=True)
    assert table["prefix"][0] == "–" and table["prefix"][-1] == spelled(pipeline.ids.codes[5])
    assert table["next_codes"].to_list()[-1] is None and table["next_codes"][0] == trie.nodes[1]
    assert table["holds"][0] == "" and table["holds"][-1] == "kind1 word5 thing5"


def test_levels_and_what_is_below(pipeline: Any) -> None:
    table, trie = level_table(pipeline), pipeline.trie
    assert table["prefixes"].to_list() == list(trie.nodes[1:]) and table["codes"].to_list() == list(trie.level_sizes)
    for depth in range(1, trie.levels + 1):
        below = [items_below(pipeline, depth, node) for node in range(trie.nodes[depth])]
        assert sorted(np.concatenate(below).tolist()) == list(range(40))
        assert max(map(len, below)) == table["most_items"][depth - 1]
        assert all(len(np.unique(pipeline.ids.codes[items, :depth], axis=0)) == 1 for items in below)
