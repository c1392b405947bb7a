"""Splits: which of a user's items are for training, which one is the validation target and which the test target.

A rule is named in the sources' `split`: last_out, each user's last item and the one before; time, the first items from
two moments on; cold_start, last_out with the test items alone that no training part has.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promise.data.event_rows import k_core
from promise.data.histories import Histories
from promise.data.interactions import Interactions
from promise.data.times import Clock

RULES = ("last_out", "time", "cold_start")


def histories_of(interactions: Interactions) -> Histories:
    """Lines up every user's items in time order, split by the rule that the interactions were prepared for.

    Raises:
        ValueError: a user has too few interactions, or no user has a target of the validation or of the test.
    """
    events, split = interactions.events, interactions.split
    counts = np.bincount(events["user"].to_numpy(), minlength=len(interactions.users))
    if split is None and counts.min() < 3:
        user = int(counts.argmin())
        raise ValueError(f"every user must have >= 3 items, {interactions.users[user]!r} has {counts[user]}")
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
    items = events["item"].to_numpy()
    parts = None
    if split is not None:
        timed = split["rule"] == "time"
        parts = _timed(events["time"].to_numpy(), offsets, split["cuts"]) if timed else _cold(items, offsets)
        for column, part in enumerate(("validation", "test"), 1):
            if (parts[:, column] < 0).all():
                what = f"an event in the time of the {part}" if timed else "a last item that no training part has"
                raise ValueError(f"data.split={split['rule']} leaves no user to evaluate: none has {what}")
    return Histories(items, offsets, item_count=interactions.items.height, parts=parts)


def _timed(times: NDArray[np.int64], offsets: NDArray[np.int64], cuts: Sequence[int]) -> NDArray[np.int64]:
    """Parts (users, 3) by two moments: see `Histories.parts`."""
    # Events are in the order of users and times, so those before a moment come first in each user.
    starts, ends = offsets[:-1], offsets[1:]
    first, second = (starts + np.diff(np.concatenate([[0], np.cumsum(times < cut)])[offsets]) for cut in cuts)
    validation, test = np.where(first < second, first, -1), np.where(second < ends, second, -1)
    return np.stack([first, validation, test], axis=1)


def _cold(items: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Parts (users, 3) of leave-last-out, without test targets that occur in training."""
    ends = offsets[1:]
    plain = Histories(items, offsets, int(items.max()) + 1)
    known = np.isin(items[ends - 1], plain.training_items()[0])
    return np.stack([ends - 2, ends - 2, np.where(known, -1, ends - 1)], axis=1)


def check_rule(rule: str, validation_from: Any, test_from: Any, repeats: str) -> None:
    """Raise ValueError unless the options of a split are in range, and in order where that shows already."""
    if rule not in RULES:
        raise ValueError(f"data.split must be {', '.join(RULES)}, got {rule}")
    if rule != "time":
        return
    if repeats == "last":
        why = "whether an event is the last, later ones tell"
        raise ValueError(f"data.split=time needs data.repeats=keep or first: {why}")
    first, second = _moment("validation_from", validation_from), _moment("test_from", test_from)
    if type(first) is type(second) and first >= second:  # type: ignore[operator]
        raise ValueError(_disorder(validation_from, test_from))


def moments(values: Sequence[Any], clock: Clock | None, times: NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """The two moments, data.validation_from and data.test_from, as stamps and for people, among those of events (n,).

    Raises:
        ValueError: there are no times or no dates, the moments are not in order, or no event lies before the first.
    """
    if clock is None:
        raise ValueError("data.split=time needs a column of times (data.time), the data have none")
    cuts = []
    for name, value in zip(("validation_from", "test_from"), values, strict=True):
        moment = _moment(name, value)
        if isinstance(moment, datetime):
            cuts.append(clock.stamp(moment, f"data.{name}"))
        elif isinstance(moment, float):
            place = int(moment * len(times))
            cuts.append(int(np.partition(times, place)[place]))
        else:
            cuts.append(moment)
    shown = [clock.shown(cut) for cut in cuts]
    if cuts[0] >= cuts[1]:
        raise ValueError(_disorder(*shown))
    if not (times < cuts[0]).any():
        raise ValueError(f"data.validation_from: no event lies before {shown[0]}, the first is of {clock.first}")
    return cuts, shown


def core_before(
    early: NDArray[np.bool_], user: NDArray[Any], item: NDArray[Any], user_least: int, item_least: int
) -> NDArray[np.bool_]:
    """The k-core of the early events (n,) alone, and the later events of users and items that are in it.

    >>> early = np.array([True, True, True, False, False, False])
    >>> core_before(early, np.array([0, 0, 1, 0, 1, 0]), np.array([5, 6, 5, 6, 5, 7]), 2, 1)
    array([ True,  True, False,  True, False, False])
    """
    kept = np.zeros(len(user), dtype=bool)
    kept[early] = k_core(user[early], item[early], user_least, item_least)
    known = (np.bincount(codes[kept], minlength=codes.max() + 1)[codes] > 0 for codes in (user, item))
    return kept | (~early & np.logical_and(*known))


def _moment(name: str, value: Any) -> datetime | float | int:
    """A share of events, a stamp or a date, of which naive ones are UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 < value < 1:
            return float(value)
        if value >= 1 and float(value).is_integer():
            return int(value)
    try:
        date = datetime.fromisoformat(str(value)) if isinstance(value, str) else None
    except ValueError:
        date = None
    if date is None:
        known = "a share of the events (0.8), a date (2015-06-30) or a stamp"
        raise ValueError(f"data.{name} must be {known}, got {value}")
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _disorder(first: Any, second: Any) -> str:
    return f"data.validation_from must lie before data.test_from, got {first} and {second}"
