"""Training and evaluation rows against a plain-Python account of which target may see what."""

import random

import numpy as np
import pytest

from promise.data.batch import Batch
from promise.data.datasets import EvaluationDataset, Prefixes, Windows, draw_users
from promise.data.histories import Histories


def world(seed: int) -> tuple[list[list[int]], Histories, int]:
    """Users with items that are all different (100 * user + place), so that an item tells its place."""
    draw = random.Random(seed)
    longest = draw.choice([3, 4, 8, 40])
    lists = [[100 * user + place for place in range(draw.randint(3, longest))] for user in range(draw.randint(1, 9))]
    offsets = np.cumsum([0, *map(len, lists)])
    return (lists, Histories(np.concatenate(lists).astype(np.int32), offsets, 1000), draw.choice([1, 2, 3, 5, 8, 50]))


def seen_by_target(batch: Batch) -> list[tuple[int, int, list[int]]]:
    """(user, target, the items it may see) for every target of a batch."""
    found = []
    for user, history, length, positions, targets in zip(*(field.tolist() for field in batch), strict=True):
        for position, target in zip(positions, targets, strict=True):
            if target != -1:
                assert position < length
                found.append((user, target, history[: position + 1]))
    return found


def all_rows(rows: Windows | Prefixes | EvaluationDataset) -> Batch:
    return rows[np.random.default_rng(0).permutation(len(rows))]


@pytest.mark.parametrize("seed", range(30))
def test_windows_train_every_item_once_on_nothing_but_its_past(seed):
    lists, histories, limit = world(seed)
    windows = Windows(histories, limit)
    if not len(windows):
        assert all(len(items) == 3 for items in lists)
        return
    batch = all_rows(windows)
    assert batch.history.shape[1] <= limit
    assert batch.positions.shape == batch.targets.shape == (len(windows), (batch.targets >= 0).sum(1).max())
    found = seen_by_target(batch)
    assert sorted(target for _, target, _ in found) == [item for items in lists for item in items[1:-2]]
    for user, target, seen in found:
        past = lists[user][: lists[user].index(target)]
        assert seen == past[-len(seen) :]
        assert len(seen) >= min(len(past), limit // 2 + 1)


@pytest.mark.parametrize("seed", range(30))
def test_prefixes_are_one_row_for_every_target_with_all_the_context_there_is(seed):
    lists, histories, limit = world(seed)
    prefixes = Prefixes(histories, limit)
    expected = [
        (user, items[place], items[:place][-limit:])
        for user, items in enumerate(lists)
        for place in range(1, len(items) - 2)
    ]
    assert len(prefixes) == len(expected)
    if expected:
        batch = all_rows(prefixes)
        assert batch.targets.shape == batch.positions.shape == (len(expected), 1)
        assert sorted(seen_by_target(batch)) == sorted(expected)


@pytest.mark.parametrize("split, end", [("validation", -2), ("test", -1)])
@pytest.mark.parametrize("seed", range(10))
def test_evaluation_rows_are_the_histories_before_the_target(seed, split, end):
    lists, histories, _ = world(seed)
    users = draw_users(np.arange(len(lists)), 3)
    batch = all_rows(EvaluationDataset(histories, split, users))
    expected = [(user, lists[user][end], lists[user][:end]) for user in users.tolist()]
    assert sorted(seen_by_target(batch)) == expected


@pytest.mark.parametrize("seed", range(10))
def test_rows_are_as_long_as_their_longest_history_and_the_rest_is_padding(seed):
    _, histories, limit = world(seed)
    everyone = np.arange(len(histories))
    for rows in (Windows(histories, limit), Prefixes(histories, limit), EvaluationDataset(histories, "test", everyone)):
        if len(rows):
            numbers = np.arange(len(rows))
            batch = rows[numbers]
            assert batch.history.shape[1] == batch.lengths.max()
            assert batch.lengths.min() >= 1
            padding = np.arange(batch.history.shape[1]) >= batch.lengths.numpy()[:, None]
            assert (batch.history.numpy()[padding] == 0).all()
            assert all(field.dtype.is_floating_point is False for field in batch)


def test_worked_example_of_windows():
    histories = Histories(np.arange(11, dtype=np.int32), np.array([0, 11]), 11)  # trains on 0..8
    windows = Windows(histories, 4)
    batch = windows[np.arange(3)]
    assert batch.history.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert batch.targets.tolist() == [[1, 2, 3, 4], [5, 6, -1, -1], [7, 8, -1, -1]]
    assert batch.positions.tolist() == [[0, 1, 2, 3], [2, 3, 3, 3], [2, 3, 3, 3]]
    assert windows[np.array([1, 2])].targets.tolist() == [[5, 6], [7, 8]]
    assert windows.sizes(np.arange(3)).argsort(kind="stable").tolist() == [1, 2, 0]


def test_draw_users():
    five, many = np.array([2, 3, 5, 7, 11]), np.arange(100)
    assert all(draw_users(five, size).tolist() == five.tolist() for size in (None, 5, 99))
    ten, four = draw_users(many, 10), draw_users(many, 4)
    assert set(four) < set(ten)
    assert ten.tolist() == sorted(set(ten)) == draw_users(many, 10).tolist()
    assert draw_users(many + 7, 4).tolist() == (four + 7).tolist()
    with pytest.raises(ValueError, match="users must be >= 1 or null, got 0"):
        draw_users(five, 0)
