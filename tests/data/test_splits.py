"""Leave-last-out and time against plain-Python splits, no leak over a cut, and what is refused."""

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.data.card import card_lines, card_of
from promise.data.datasets import Prefixes, Windows
from promise.data.histories import Histories
from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, Interactions
from promise.data.splits import histories_of
from tests.data.sources.event_files import csv_of, read


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
    histories = histories_of(interactions(rows, users, items))
    assert histories.item_count == items
    assert len(histories) == users
    flat, offsets = histories.training_items()
    for user in range(users):
        mine = [item for _, item, _ in sorted((r for r in rows if r[0] == user), key=lambda row: row[2])]
        one = np.array([user])
        for split, end in (("test", -1), ("validation", -2)):
            assert histories.targets(split, one).tolist() == [mine[end]]
            padded, lengths = histories.history(split, one)
            assert padded[0, : lengths[0]].tolist() == mine[:end]
        assert flat[offsets[user] : offsets[user + 1]].tolist() == mine[:-2]


def test_equal_times_keep_the_order_they_came_in():
    histories = histories_of(interactions([(0, item, 5) for item in (3, 1, 2, 0)], 1, 4))
    assert histories.items.tolist() == [3, 1, 2, 0]


def test_a_short_user_is_named():
    rows = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (2, 0, 0), (2, 0, 1), (2, 0, 2)]
    with pytest.raises(ValueError, match="every user must have >= 3 items, 'u1' has 0"):
        histories_of(interactions(rows, 3, 1))


# Cuts at 10 and 20. d has too few events before 10, item n has none.
WORLD = {
    "a": "x1 y2 z3 y10 x12 n13 z20 x25",
    "b": "y1 x2 y4 z11",
    "c": "z1 y2 x3 n20 x21",
    "d": "x1 y2 x11 x22",
    "e": "n11 x12 y13 z22",
}
ROWS = [(user, event[0], int(event[1:])) for user, events in WORLD.items() for event in events.split()]
CUTS = {"split": "time", "validation_from": 10, "test_from": 20}


def told(found: Interactions) -> tuple[Histories, dict[str, dict[str, str]]]:
    """For each user: training, and history>target of both parts, by the names of the items."""
    histories, names = histories_of(found), found.items["id"].to_list()
    spelled: dict[str, dict[str, str]] = {user: {} for user in found.users}
    items, offsets = histories.training_items()
    for user, name in enumerate(found.users):
        spelled[name]["training"] = "".join(names[item] for item in items[offsets[user] : offsets[user + 1]])
    for part in ("validation", "test"):
        for user in histories.evaluated(part):
            history, target = histories.history(part, np.array([user]))[0][0], histories.targets(part, np.array([user]))
            spelled[found.users[int(user)]][part] = (
                "".join(names[item] for item in history) + ">" + names[int(target[0])]
            )
    return histories, spelled


def test_time_by_hand(tmp_path: Path) -> None:
    found = read(tmp_path, csv_of(ROWS), **CUTS)
    assert found.items["id"].to_list() == ["x", "y", "z"]
    histories, spelled = told(found)
    assert spelled == {
        "a": {"training": "xyz", "validation": "xyz>y", "test": "xyzyx>z"},
        "b": {"training": "yxy", "validation": "yxy>z"},
        "c": {"training": "zyx", "test": "zyx>x"},
    }
    card = card_of(found, histories)
    assert card["steps"][-1]["step"] == "users with >= 3, items with >= 1 events before 10"
    assert dict(card_lines(card))["split"] == (
        "time (from 10 and from 20): 9 events to train on, 2 users to validate on and 2 to test on"
    )
    found.save(tmp_path / "kept")
    again = Interactions.load(tmp_path / "kept")
    assert told(again)[1] == spelled and again.fingerprint() == found.fingerprint()
    again.split = None
    assert again.fingerprint() != found.fingerprint()


def test_cuts_may_be_shares_or_dates(tmp_path: Path) -> None:
    rows = [(user, "x", 1_435_000_000 + 86_400 * day) for day in range(10) for user in "ab"]
    expected = {"rule": "time", "cuts": [1_435_345_600, 1_435_604_800]}
    expected["shown"] = ["2015-06-26T19:06:40", "2015-06-29T19:06:40"]
    for first, second in ((0.4, 0.7), ("2015-06-26T19:06:40", "2015-06-29 20:06:40+01:00"), (1_435_345_600, 0.7)):
        found = read(tmp_path, csv_of(rows), split="time", validation_from=first, test_from=second)
        assert found.split == expected
    days = [("u", "x", f"2015-06-{day:02}") for day in range(1, 7)]
    found = read(tmp_path, csv_of(days), split="time", validation_from="2015-06-04", test_from="2015-06-05")
    assert found.split is not None and found.split["shown"] == ["2015-06-04T00:00:00", "2015-06-05T00:00:00"]
    assert told(found)[1]["u"] == {"training": "xxx", "validation": "xxx>x", "test": "xxxx>x"}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("repeats", ["keep", "first"])
def test_training_does_not_see_past_the_cut(seed: int, repeats: str, tmp_path: Path) -> None:
    draw = random.Random(seed)

    def events(count: int, low: int, high: int, users: str, items: str) -> list[tuple[str, str, int]]:
        return [(draw.choice(users), draw.choice(items), draw.randrange(low, high)) for _ in range(count)]

    before = events(60, 0, 10, "abcdef", "lmnpqrstuvw")
    worlds = []
    for _ in range(2):
        rows = [*before, *events(draw.randint(150, 250), 10, 30, "ZabcdefgAA", "lmnopqrstuvwxO")]
        found = read(tmp_path, csv_of(rows), **CUTS, repeats=repeats, min_item_events=3)
        histories, spelled = told(found)
        trained = [each[np.arange(len(each))] for each in (Windows(histories, 4), Prefixes(histories, 4))]
        tensors = [field.tolist() for batch in trained for field in batch]
        worlds.append((found.users.to_list(), found.items.to_dicts(), histories.training_items()[0].tolist(), tensors))
        kept = {(user, item) for user, parts in spelled.items() for item in parts["training"]}
        known = {item for _, item in kept}
        ordered = sorted(enumerate(rows), key=lambda row: (row[1][2], row[0]))
        if repeats == "first":
            firsts = {row[1][:2]: row for row in reversed(ordered)}
            ordered = [row for row in ordered if firsts[row[1][:2]] == row]
        for user, parts in spelled.items():
            mine = [(item, time) for _, (who, item, time) in ordered if who == user and item in known]
            for part, low, high in (("validation", 10, 20), ("test", 20, 30)):
                place = next((at for at, (_, time) in enumerate(mine) if low <= time < high), None)
                names = "".join(item for item, _ in mine)
                assert parts.get(part) == (None if place is None else f"{names[:place]}>{names[place]}")
    assert worlds[0] == worlds[1]


def test_cold_start_tests_on_items_that_training_lacks(tmp_path: Path) -> None:
    lists = {"a": "xyzw", "b": "yxyx", "c": "yxxz"}  # z is the validation target of a alone
    rows = [(user, item, time) for user, items in lists.items() for time, item in enumerate(items)]
    histories, spelled = told(read(tmp_path, csv_of(rows), split="cold_start"))
    assert spelled == {
        "a": {"training": "xy", "validation": "xy>z", "test": "xyz>w"},
        "b": {"training": "yx", "validation": "yx>y"},
        "c": {"training": "yx", "validation": "yx>x", "test": "yxx>z"},
    }
    assert histories.parts_of(1) == ["training", "training", "validation", "none"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"split": "random"}, "data.split must be last_out, time, cold_start, got random"),
    (CUTS | {"validation_from": 20}, "data.validation_from must lie before data.test_from, got 20 and 20"),
    (CUTS | {"validation_from": 0.5, "test_from": 0.51}, "data.validation_from must lie before data.test_from, got"),
    (CUTS | {"validation_from": "soon"}, "data.validation_from must be a share of the events (0.8), a date"),
    (CUTS | {"test_from": float("inf")}, "data.test_from must be a share of the events (0.8), a date (2015-06-30)"),
    (CUTS | {"test_from": True}, "data.test_from must be a share of the events (0.8), a date (2015-06-30) or a stamp"),
    (CUTS | {"test_from": "2015-06-30"}, "data.test_from must be a number or a share: the times of the data are no"),
    (CUTS | {"validation_from": 1}, "data.validation_from: no event lies before 1, the first is of 1"),
    (CUTS | {"repeats": "last"}, "data.split=time needs data.repeats=keep or first"),
    (CUTS | {"min_user_events": 9}, "users need >= 9 events and items >= 1; the longest of 4 users has 3"),
    (CUTS | {"test_from": 99}, "data.split=time leaves no user to evaluate: none has an event in the time of the test"),
    (CUTS | {"validation_from": 14, "test_from": 15}, "none has an event in the time of the validation"),
    ({"split": "cold_start"}, "data.split=cold_start leaves no user to evaluate: none has a last item that no"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_splits_get_one_clear_line(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^.*" + re.escape(message)) as raised:
        histories_of(read(tmp_path, csv_of(ROWS), **options))
    assert "\n" not in str(raised.value)


def test_time_needs_times(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("data.split=time needs a column of times (data.time), the data")):
        read(tmp_path, csv_of([row[:2] for row in ROWS], "user,item"), **CUTS)
