"""The dataset card of a drawn world, with every figure written out."""

import numpy as np
import polars as pl
import pytest

from promise.data import card
from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, Interactions

# Users a: items 0 1 1, the first two at one time; b: 2 0 3 2, the last two at one time, items descending.
EVENTS = {"user": [0] * 3 + [1] * 4, "item": [0, 1, 1, 2, 0, 3, 2], "time": [5, 5, 9, 1, 2, 3, 3]}


def world(**preparation: object) -> Interactions:
    items = pl.DataFrame({"id": [3, 7, 9, 12], "text": ["x", None, "", "y"]}, schema=ITEM_COLUMNS)
    return Interactions(pl.DataFrame(EVENTS, schema=EVENT_COLUMNS), pl.Series(["a", "b"]), items, 0, dict(preparation))


@pytest.mark.parametrize("block", [2, 10**7])
def test_every_figure(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(card, "_BLOCK", block)
    assert card.card_of(world(notes=["n"])) == {
        "users": 2, "items": 4, "events": 7, "lengths": [3, 3, 3, 3, 4], "repeated": 2 / 7, "tied_last": 0.5,
        "tied_ascending": 0.5, "doubled": 0, "texts": 3, "steps": [], "times": None, "notes": ["n"],
    }  # fmt: skip


def test_what_it_says() -> None:
    times = {"unit": "seconds", "first": "2009-12-14T02:52:24", "last": "2010-01-01T00:00:00", "resolution": "day"}
    found = card.card_of(world(times=times, notes=["n"]))
    assert card.card_lines(found) == [
        ("events of a user", "3 to 4, median 3, half of them 3 to 3"),
        ("items had before", "28.6% of the events"),
        ("time", "2009-12-14T02:52:24 to 2010-01-01T00:00:00 (seconds, resolution: day)"),
        (
            "ties",
            "50.0% of the users' last two events share one time; 50% of all ties stand in ascending order of items",
        ),
        ("note", "n"),
    ]
    sorted_ties = dict(card.card_lines({**found, "tied_ascending": 1.0}))["ties"]
    assert sorted_ties.endswith(
        "100% of all ties stand in ascending order of items: an artefact, see data.ties=shuffle"
    )
    numbers = card.card_lines({**found, "times": {**times, "unit": None}, "tied_ascending": None})
    assert numbers[2][1].endswith("(no dates)") and numbers[3][1].endswith("share one time")
    assert [name for name, _ in card.card_lines(card.card_of(world()))] == ["events of a user", "items had before"]


def test_doubled_events_are_counted_wherever_they_stand_in_a_tie() -> None:
    events = {"user": [0] * 6 + [1] * 3, "item": [0, 1, 0, 0, 1, 1, 1, 1, 0], "time": [5, 5, 5, 5, 9, 10, 5, 5, 5]}
    found = card.card_of(
        Interactions(pl.DataFrame(events, schema=EVENT_COLUMNS), pl.Series(["a", "b"]), world().items[:2], 0)
    )
    assert found["doubled"] == 3
    times = {"unit": None, "first": "5", "last": "10", "resolution": None}
    words = "; 3 events repeat another one's user, item and time: drop such rows first"
    assert dict(card.card_lines({**found, "times": times}))["ties"].endswith(words)
    assert words not in dict(card.card_lines({**card.card_of(world()), "times": times}))["ties"]
    del found["doubled"]
    assert words not in dict(card.card_lines({**found, "times": times}))["ties"]


def test_repeats_are_counted_by_blocks_as_by_a_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    user, item = np.sort(rng.integers(20, size=90)), rng.integers(9, size=90)
    user = np.unique(user, return_inverse=True)[1]
    assert card._repeated(user, item, np.cumsum(np.bincount(user))) == 90 - len(set(zip(user, item, strict=True)))
