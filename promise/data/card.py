"""The dataset card: what a data set is, what preparation left out, and how far its order in time can be trusted."""

import itertools
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from promise.data.histories import Histories
from promise.data.interactions import Interactions

_BLOCK = 10**7  # events that are looked at together


def card_of(interactions: Interactions, histories: Histories | None = None) -> dict[str, Any]:
    """Describes prepared interactions; JSON-able.

    Returns:
        `users`, `items`, `events`; `lengths`, the least, quartiles and most events of a user; `repeated`, the share of
        events whose item the user had before; `tied_last`, the share of users whose last two events share one time,
        and `tied_ascending`, the share of all tied neighbours that stand in ascending order of items (.5 = at random,
        1 = an artefact of sorting; None = no ties); `doubled`, events that repeat another one's user, item and time;
        `texts`; and the source's own `steps`, `times`, `notes`. Where the
        split is not leave-last-out also `split`: its rule and moments, and of `histories` the training events, and the
        users that each part evaluates.
    """
    user, item, time = (interactions.events[name].to_numpy() for name in ("user", "item", "time"))
    lengths = np.bincount(user, minlength=len(interactions.users))
    ends = np.cumsum(lengths)
    tied = (user[1:] == user[:-1]) & (time[1:] == time[:-1])
    pairs = tied & (item[1:] != item[:-1])
    moment = np.cumsum(np.append(False, ~tied))  # (n,) number of the user and time of each event
    card = {
        "users": len(interactions.users),
        "items": interactions.items.height,
        "events": len(user),
        "lengths": [int(length) for length in np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1], method="lower")],
        "repeated": _repeated(user, item, ends) / len(user),
        "tied_last": float(tied[ends[lengths > 1] - 2].mean()),
        "tied_ascending": float((item[1:] > item[:-1])[pairs].mean()) if pairs.any() else None,
        "doubled": _repeated(moment, item, np.flatnonzero(np.append(~tied, True)) + 1),
        "texts": interactions.items["text"].count(),
        "steps": [],
        "times": None,
        "notes": [],
        **interactions.preparation,
    }
    if interactions.split is not None and histories is not None:
        parts: dict[str, Any] = {part: len(histories.evaluated(part)) for part in ("validation", "test")}
        card["split"] = {**interactions.split, "training_events": int(histories.training_counts().sum()), **parts}
    return card


def _repeated(user: NDArray[Any], item: NDArray[Any], ends: NDArray[np.int64]) -> int:
    """Events whose item the user (or any other group) had before; users in blocks, so that memory stays small."""
    cuts = [0, *ends[np.unique(np.searchsorted(ends, range(_BLOCK, len(user), _BLOCK)))], len(user)]
    blocks = (user[start:stop].astype(np.int64) << 32 | item[start:stop] for start, stop in itertools.pairwise(cuts))
    return len(user) - sum(pl.Series(block).n_unique() for block in blocks)


def card_lines(card: dict[str, Any]) -> list[tuple[str, str]]:
    """The card as pairs of a name and words, without what has a table of its own."""
    least, low, middle, high, most = card["lengths"]
    lines = [
        ("events of a user", f"{least} to {most:,}, median {middle}, half of them {low} to {high}"),
        ("items had before", f"{card['repeated']:.1%} of the events"),
    ]
    if times := card["times"]:
        unit = f"{times['unit']}, resolution: {times['resolution']}" if times["unit"] else "no dates"
        lines.append(("time", f"{times['first']} to {times['last']} ({unit})"))
        ties = f"{card['tied_last']:.1%} of the users' last two events share one time"
        if (ascending := card["tied_ascending"]) is not None:
            ties += f"; {ascending:.0%} of all ties stand in ascending order of items"
            if abs(ascending - 0.5) > 0.4 and card["tied_last"] > 0.01:
                ties += ": an artefact, see data.ties=shuffle"
        if doubled := card.get("doubled"):  # absent from the card of an older store
            ties += f"; {doubled:,} events repeat another one's user, item and time: drop such rows first"
        lines.append(("ties", ties))
    if split := card.get("split"):
        moments = f" (from {split['shown'][0]} and from {split['shown'][1]})" if "shown" in split else ""
        users = f"{split['validation']:,} users to validate on and {split['test']:,} to test on"
        lines.append(("split", f"{split['rule']}{moments}: {split['training_events']:,} events to train on, {users}"))
    return lines + [("note", note) for note in card["notes"]]
