"""Leave-last-out against a plain-Python split."""

import random

import numpy as np
import polars as pl
import pytest

from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, Interactions
from promise.data.splits import leave_last_out


def interactions(rows: list[tuple[int, int, int]], users: int, items: int) -> Interactions:
    return Interactions(
        events=pl.DataFrame(rows, schema=EVENT_COLUMNS, orient="row"),
        users=pl.Series([f"u{user}" for user in range(users)]),
        items=pl.DataFrame({"id": list(range(items)), "text": [None] * items}, schema=ITEM_COLUMNS),
        dropped_users=0,
    )


@pytest.mark.parametrize("seed", range(20))
def test_split_is_the_plain_one(seed):
    draw = random.Random(seed)
    users, items = draw.randint(1, 6), draw.randint(1, 5)
    rows = [
        (user, draw.randrange(items), draw.randint(-3, 3)) for user in range(users) for _ in range(draw.randint(3, 9))
    ]
    draw.shuffle(rows)
    histories = leave_last_out(interactions(rows, users, items))
    assert histories.item_count == items
    assert len(histories) == users
    flat, offsets = histories.training_items()
    for user in range(users):
        mine = [item for _, item, _ in sorted((r for r in rows if r[0] == user), key=lambda row: row[2])]
        one = np.array([user])
        for split, end in (("test", -1), ("validation", -2), ("train", -3)):
            assert histories.targets(split, one).tolist() == [mine[end]]
            padded, lengths = histories.history(split, one)
            assert padded[0, : lengths[0]].tolist() == mine[:end]
        assert flat[offsets[user] : offsets[user + 1]].tolist() == mine[:-2]


def test_equal_times_keep_the_order_they_came_in():
    histories = leave_last_out(interactions([(0, item, 5) for item in (3, 1, 2, 0)], 1, 4))
    assert histories.items.tolist() == [3, 1, 2, 0]


def test_a_short_user_is_named():
    rows = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (2, 0, 0), (2, 0, 1), (2, 0, 2)]
    with pytest.raises(ValueError, match="every user must have >= 3 items, 'u1' has 0"):
        leave_last_out(interactions(rows, 3, 1))
