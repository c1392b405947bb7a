"""Lists of items against plain sets, their places, and every list that is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.search.filters.item_lists import ItemLists, Permitted, distinct, marked
from promise.search.protocols import UserRows

USERS = UserRows(torch.tensor([[3, 0, 0], [1, 1, 3]]), torch.tensor([1, 3]))


def left(permitted: Permitted, count: int) -> list[list[int]]:
    """The places that each of two users may be named, as `narrow` says."""
    return [row.nonzero()[:, 0].tolist() for row in permitted.narrow(torch.zeros(2, count)) == 0]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        ({"remove_seen": True}, [[0, 1, 2], [0, 2]]),
        ({"allow": [1, 3, 3, -1]}, [[1, 3], [1, 3]]),
        ({"allow": np.array([1, 3]), "deny": torch.tensor([1, 0])}, [[3], [3]]),
        ({"allow": [1], "deny": [1]}, [[], []]),
        ({"deny": [0, -1]}, [[1, 2, 3], [1, 2, 3]]),
        ({"deny": []}, [[0, 1, 2, 3], [0, 1, 2, 3]]),
        ({"remove_seen": True, "allow": [0, 1, 3]}, [[0, 1], [0]]),
    ],
)
def test_lists_are_sets(lists: dict[str, Any], expected: list[list[int]]) -> None:
    permitted = ItemLists(4, **lists).of(USERS)
    assert left(permitted, 4) == expected
    first, second = permitted.rows(slice(0, 1)), permitted.rows(slice(1, 2))
    halves = [part.narrow(torch.zeros(1, 4)) for part in (first, second)]
    assert torch.equal(torch.cat(halves), permitted.narrow(torch.zeros(2, 4)))


def test_own_places_ascend_and_are_distinct() -> None:
    place = torch.tensor([2, 0, 3, 1], dtype=torch.int32)  # item 1 first, then 3, 0, 2
    permitted = ItemLists(4, remove_seen=True, deny={1}, place=place).of(USERS)
    assert permitted.everyone is not None and permitted.less is not None
    assert permitted.everyone.tolist() == [False, True, True, True]
    assert permitted.less.tolist() == [[-1, -1, 1], [-1, -1, 1]]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"allow": []}, r"^allow must name at least one item, got none$"),
        ({"allow": [-1, -1]}, r"^allow must name at least one item, got none$"),
        ({"allow": [0, 4]}, r"^allow must hold items 0 \.\. 3, got 4$"),
        ({"deny": [-2]}, r"^deny must hold items 0 \.\. 3, got -2$"),
        ({"deny": [0.5]}, r"^deny must hold item numbers, got torch\.float64$"),
        ({"deny": ["B001"]}, r"^deny must hold item numbers, got <U4$"),
        ({"allow": [True, False, True, True]}, r"^allow must hold item numbers, got torch\.bool$"),
        ({"allow": [[0], [1]]}, r"^allow must be one list \(n,\), got shape \(2, 1\)$"),
    ],
)
def test_wrong_lists_are_refused(lists: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ItemLists(4, **lists)


def test_sets_of_places_by_hand() -> None:
    places = torch.tensor([[3, -1, 3, 0], [2, 1, -1, -1]])
    ordered = distinct(places)
    assert ordered.tolist() == [[-1, -1, 0, 3], [-1, -1, 1, 2]]
    assert marked(ordered, 4).tolist() == [[True, False, False, True], [False, True, True, False]]
    assert distinct(places[:, :0]).shape == (2, 0)
