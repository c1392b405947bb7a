"""What comparisons allow to say: whom guided search does not beat, what it has over each, which goals are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promise.analysis.headline import BETTER_PLAIN, COMPARED, GUIDED, Row, claimed
from promise.analysis.markdown import (
    MISSING,
    figure,
    flops,
    interval,
    listed,
    past,
    protocol,
    short,
    signed,
    table,
    titled,
)

Pair = tuple[str, str, str, str]
"""Dataset, treatment of past items, half of the users, and the other method."""

MEASURED = ("seeds", *(f"guided − it, {short(metric)}" for metric in COMPARED), "guided is")


def shortfalls(comparisons: Iterable[Row], rows: Sequence[Row]) -> list[str]:
    """Which methods guided search does not beat, all users: a sentence per method, and a table of all cases.

    Args:
        comparisons: Of test targets.
        rows: Headline rows of test targets, for the costs.

    Returns:
        Lines; one that says so when there is no such method, or nothing was compared.
    """
    pairs = {key: found for key, found in paired(comparisons).items() if key[2] == "all"}
    if not pairs:
        return ["Nothing can be said yet: no comparison on test targets has been run."]
    open_ones = not_won(pairs)
    if not open_ones:
        return ["Nowhere: in every comparison that was run, guided search is better."]
    cells = []
    told: dict[str, dict[str, list[str]]] = {}
    for (dataset, seen, _, other), found in open_ones.items():
        both = (of_method(rows, dataset, seen, name) for name in (other, GUIDED))
        costs = " / ".join(flops(mean(row["flops_per_user"] for row in same)) for same in both)
        cells.append([titled(dataset), protocol(seen), name_of(other), costs, *measured(found)])
        told.setdefault(other, {}).setdefault(verdict(found), []).append(f"{titled(dataset)} {past(seen)}")
    sentences = []
    for other, verdicts in told.items():
        words = "; ".join(f"{word} on {listed(places)}" for word, places in verdicts.items())
        sentences.append(f"- {name_of(other)}: guided is {words}.")
    columns = ["data", "past items", "method", "FLOPs per user: it / guided", *MEASURED]
    return [*sentences, "", *table(columns, cells)]


def half_shortfalls(comparisons: Iterable[Row]) -> list[str]:
    """The same for the halves of the users, those whose target's product number is above or below their last item's."""
    pairs = {key: found for key, found in paired(comparisons).items() if key[2] != "all"}
    cells = [
        [titled(dataset), protocol(seen), f"{half} ({max(row['users'] for row in found.values()):,})", name_of(other),
         *measured(found)]
        for (dataset, seen, half, other), found in not_won(pairs).items()
    ]  # fmt: skip
    if not cells:
        return ["Nothing can be said yet." if not pairs else "On neither half is any method unbeaten."]
    return table(["data", "past items", "target is", "method", *MEASURED], cells)


def published_above(published: Iterable[Row], rows: Sequence[Row]) -> list[str]:
    """Figures from elsewhere that guided search does not reach under their protocol; no line when there are none."""
    cells = []
    for row in published:
        same = of_method(rows, row["dataset"], row["seen"], GUIDED)
        ours = {metric: mean(of[metric] for of in same) for metric in COMPARED}
        if any(row[metric] is not None and (ours[metric] or 1.0) < row[metric] for metric in COMPARED):
            figures = [text for metric in COMPARED for text in (figure(row[metric]), figure(ours[metric]))]
            cells.append([titled(row["dataset"]), protocol(row["seen"]), row["method"], *figures, row["source"] or ""])
    columns = [f"{short(metric)}, {whose}" for metric in COMPARED for whose in ("theirs", "guided")]
    return table(["data", "past items", "published", *columns, "source"], cells) if cells else []


def differences(comparisons: Iterable[Row]) -> list[str]:
    """What guided search has over every method, all users: a column for each dataset and treatment of past items.

    Returns:
        Lines of one table per metric, claims in bold; one line when nothing was compared.
    """
    pairs = {key: found for key, found in paired(comparisons).items() if key[2] == "all"}
    if not pairs:
        return ["Nothing can be said yet."]
    places = list(dict.fromkeys(key[:3] for key in pairs))
    lines: list[str] = []
    for metric in COMPARED:
        cells = []
        for other in dict.fromkeys(key[3] for key in pairs):
            found = [pairs.get((*place, other), {}).get(metric) for place in places]
            cells.append([name_of(other), *(claim_text(row, ends=False) for row in found)])
        columns = [f"{titled(dataset)}, {past(seen)}" for dataset, seen, _ in places]
        lines += ["", *table([f"guided − it, {short(metric)}", *columns], cells)]
    if any(row["seeds"] == 1 for found in pairs.values() for row in found.values()):
        lines += ["", "¹ One seed."]
    return lines[1:]


def not_won(pairs: dict[Pair, dict[str, Row]]) -> dict[Pair, dict[str, Row]]:
    """Those in which guided search is not shown to be better in some metric."""
    return {key: found for key, found in pairs.items() if any(claimed(row) <= 0 for row in found.values())}


def measured(found: dict[str, Row]) -> list[str]:
    """The cells below `MEASURED`."""
    seeds = str(max(row["seeds"] for row in found.values()))
    return [seeds, *(claim_text(found.get(metric)) for metric in COMPARED), verdict(found)]


def paired(comparisons: Iterable[Row]) -> dict[Pair, dict[str, Row]]:
    """Comparisons by what is compared, each with its metrics."""
    pairs: dict[Pair, dict[str, Row]] = {}
    for row in comparisons:
        pairs.setdefault((row["dataset"], row["seen"], row["half"], row["against"]), {})[row["metric"]] = row
    return pairs


def claim_text(row: Row | None, ends: bool = True) -> str:
    """A comparison in a table's cell, a claim in bold.

    Args:
        row: The comparison; None where there is none.
        ends: Whether its interval stands beside it.
    """
    if row is None:
        return MISSING
    text = interval(row["difference"], row["low"], row["high"]) if ends else signed(row["difference"])
    text = f"**{text}**" if claimed(row) else text
    return text if ends or row["seeds"] > 1 else f"{text}¹"


def verdict(found: dict[str, Row]) -> str:
    """What the comparisons with one method decide, in words; metric by metric where they differ."""
    words = {metric: decided(row) for metric, row in found.items()}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{word} in {short(metric)}" for metric, word in words.items())


def decided(row: Row) -> str:
    """What one comparison decides, in words."""
    if sign := claimed(row):
        return "better" if sign > 0 else "**worse**"
    return "not told apart" if row["low"] <= 0 <= row["high"] else "open, for the sign changes between seeds"


def of_method(rows: Iterable[Row], dataset: str, seen: str, method: str) -> list[Row]:
    """The headline rows of a method on all users, one per seed."""
    place = (dataset, seen, method, "all")
    return [row for row in rows if (row["dataset"], row["seen"], row["method"], row["half"]) == place]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known, to the six digits that rows hold; None when none is."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def name_of(method: str) -> str:
    """A method in a table."""
    return "better of `plain`, `plain_alone`" if method == BETTER_PLAIN else f"`{method}`"


def goal_table(goals: Iterable[Row], rows: Sequence[Row]) -> list[str]:
    """The goals with what was measured: mean over seeds, test targets, all users.

    Args:
        goals: Rows of the goals' file.
        rows: Headline rows of test targets.

    Returns:
        Lines of a table; a goal is met when both of its figures are.
    """
    cells = []
    for goal in goals:
        same = of_method(rows, goal["dataset"], goal["seen"], goal["method"])
        met, found = [], []
        for metric in COMPARED:
            value = mean(row[metric] for row in same)
            met.append(None if value is None else value >= goal[metric])
            found += [figure(goal[metric]), figure(value)]
        outcome = "not run" if None in met else "met" if all(met) else "missed"
        seeds = str(len(same)) if same else ""
        names = (titled(goal["dataset"]), protocol(goal["seen"]), f"`{goal['method']}`", goal["kind"])
        cells.append([*names, *found, seeds, outcome])
    columns = ["data", "past items", "method", "kind", "R@10 wanted", "R@10", "N@10 wanted", "N@10", "seeds", "verdict"]
    return table(columns, cells)
