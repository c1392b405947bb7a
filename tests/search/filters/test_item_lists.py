"""Lists of items against plain sets, their places, and every list that is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.search.filters.item_lists import ItemLists, Permitted, contained, distinct, marked
from promise.search.protocols import UserRows

USERS = UserRows(torch.tensor([[3, 0, 0], [1, 1, 3]]), torch.tensor([1, 3]))


def left(permitted: Permitted | None, count: int) -> list[list[int]]:
    """The places that each of two users may be named, as `narrow` says."""
    if permitted is None:
        return [list(range(count))] * 2
    return [row.nonzero()[:, 0].tolist() for row in permitted.narrow(torch.zeros(2, count)) == 0]


@pytest.mark.parametrize(
    ("always", "call", "expected"),
    [
        ({}, {}, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        ({"remove_seen": True}, {}, [[0, 1, 2], [0, 2]]),
        ({"allow": [1, 3, 3, -1]}, {}, [[1, 3], [1, 3]]),
        ({"allow": np.array([1, 3])}, {"allow": torch.tensor([0, 3])}, [[3], [3]]),
        ({"allow": [1]}, {"allow": [0]}, [[], []]),
        ({"deny": [0, -1]}, {"deny": [1, 1]}, [[2, 3], [2, 3]]),
        ({"deny": []}, {"deny": [-1]}, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        ({"deny": [0, 1, 2, 3]}, {}, [[], []]),
        ({}, {"allow": [[0, 2, 2], [-1, -1, 1]]}, [[0, 2], [1]]),
        ({}, {"allow": [[0], [-1]]}, [[0], []]),
        ({}, {"allow": torch.empty(2, 0)}, [[], []]),
        ({}, {"deny": [[0, 2, 2], [-1, -1, 1]]}, [[1, 3], [0, 2, 3]]),
        ({"deny": [0]}, {"allow": [[0, 1, 3], [0, 1, 2]]}, [[1, 3], [1, 2]]),
        ({"remove_seen": True}, {"allow": [[0, 1, 3], [0, 1, 2]], "deny": [[1], [2]]}, [[0], [0]]),
        ({"remove_seen": True, "allow": [0, 1, 3]}, {"deny": [[2], [0]]}, [[0, 1], []]),
    ],
)
def test_lists_are_sets(always: dict[str, Any], call: dict[str, Any], expected: list[list[int]]) -> None:
    permitted = ItemLists(4, **always).of(USERS, **call)
    assert left(permitted, 4) == expected
    if permitted is not None:
        first, second = permitted.rows(slice(0, 1)), permitted.rows(slice(1, 2))
        halves = [part.narrow(torch.zeros(1, 4)) for part in (first, second)]
        assert torch.equal(torch.cat(halves), permitted.narrow(torch.zeros(2, 4)))


def test_own_places_ascend_and_are_distinct() -> None:
    place = torch.tensor([2, 0, 3, 1], dtype=torch.int32)  # item 1 first, then 3, 0, 2
    lists = ItemLists(4, remove_seen=True, deny=[1], place=place)
    permitted = lists.of(USERS)
    assert permitted is not None and permitted.everyone is not None and permitted.less is not None
    assert permitted.everyone.tolist() == [False, True, True, True]
    assert permitted.less.tolist() == [[-1, -1, 1], [-1, -1, 1]] and permitted.own is permitted.less
    permitted = lists.of(USERS, allow=[[2, 0, 2], [2, 1, 3]])
    assert permitted is not None and permitted.only is not None
    assert permitted.only.tolist() == [[-1, 2, 3], [-1, -1, 3]] and permitted.own is permitted.only
    assert permitted.less is None


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"allow": []}, r"^allow must name at least one item, got none$"),
        ({"allow": [-1, -1]}, r"^allow must name at least one item, got none$"),
        ({"allow": [0, 4]}, r"^allow must hold items 0 \.\. 3, got 4$"),
        ({"deny": [-2]}, r"^deny must hold items 0 \.\. 3, got -2$"),
        ({"deny": [0.5]}, r"^deny must hold item numbers, got torch\.float32$"),
        ({"allow": [True, False, True, True]}, r"^allow must hold item numbers, got torch\.bool$"),
    ],
)
def test_wrong_lists_are_refused(lists: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ItemLists(4, **lists)
    with pytest.raises(ValueError, match=message):
        ItemLists(4).of(USERS, **lists)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^allow must be one list \(n,\), got shape \(2, 1\)$"):
        ItemLists(4, allow=[[0], [1]])
    for items, shape in (([[0]], r"\(1, 1\)"), (0, r"\(\)"), ([[[0]], [[1]]], r"\(2, 1, 1\)")):
        with pytest.raises(ValueError, match=rf"^deny must be \(n,\) or \(2, n\), got shape {shape}$"):
            ItemLists(4).of(USERS, deny=items)


def test_sets_of_places_by_hand() -> None:
    places = torch.tensor([[3, -1, 3, 0], [2, 1, -1, -1]])
    ordered = distinct(places)
    assert ordered.tolist() == [[-1, -1, 0, 3], [-1, -1, 1, 2]]
    assert contained(torch.tensor([[0, 1], [9, 2]]), ordered).tolist() == [[True, False], [False, True]]
    assert contained(places, ordered[:, :0]).any().item() is False
    assert marked(ordered, 4).tolist() == [[True, False, False, True], [False, True, True, False]]
    assert distinct(places[:, :0]).shape == (2, 0)
