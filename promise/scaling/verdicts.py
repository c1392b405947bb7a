"""What comparisons allow to say: where guided search does not win and by how much it does; which goals are met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from promise.scaling.headline import BETTER_PLAIN, COMPARED, GUIDED, Row, claimed
from promise.scaling.markdown import MISSING, figure, flops, interval, protocol, short, signed, table, titled

Pair = tuple[str, str, str, str]
"""Dataset, treatment of past items, half of the users, and the other method."""


def shortfalls(comparisons: Iterable[Row], rows: Sequence[Row]) -> list[str]:
    """Where guided search is worse, or not told apart, in one metric at least: all users first, then their halves.

    Args:
        comparisons: Of test targets.
        rows: Headline rows of test targets, for the costs.

    Returns:
        Lines of tables; one line that says so when there is nothing of the kind, or nothing was compared.
    """
    pairs = paired(comparisons)
    if not pairs:
        return ["Nothing can be said yet: no comparison on test targets has been run."]
    lines: list[str] = []
    measured = [f"guided − it, {short(metric)}" for metric in COMPARED]
    for words, chosen in (("All users:", ("all",)), ("Halves of the users, by product numbers:", ("above", "below"))):
        cells = []
        for (dataset, seen, half, other), found in pairs.items():
            if half in chosen and any(claimed(row) <= 0 for row in found.values()):
                costs = [flops(mean_cost(rows, dataset, seen, name)) for name in (other, GUIDED)]
                about = " against ".join(costs) if half == "all" else f"target {half}"
                seeds = str(max(row["seeds"] for row in found.values()))
                differences = [claim_text(found.get(metric)) for metric in COMPARED]
                place = (titled(dataset), protocol(seen), about)
                cells.append([*place, name_of(other), seeds, *differences, verdict(found)])
        if cells:
            about = "FLOPs per user: it against guided" if chosen == ("all",) else "users"
            columns = ["data", "past items", about, "method", "seeds", *measured, "guided is"]
            lines += ["", words, "", *table(columns, cells)]
    return lines[1:] or ["Nowhere: in every comparison that was run, guided search is better."]


def wins(comparisons: Iterable[Row]) -> list[str]:
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
        columns = [f"{titled(dataset)}, {'kept' if seen == 'keep' else 'removed'}" for dataset, seen, _ in places]
        lines += ["", *table([f"guided − it, {short(metric)}", *columns], cells)]
    return lines[1:]


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
    return f"**{text}**" if claimed(row) else text


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


def mean_cost(rows: Iterable[Row], dataset: str, seen: str, method: str) -> float | None:
    """FLOPs per user of a method over its seeds; None where no row tells them."""
    place = (dataset, seen, "all", method)
    same = (row for row in rows if (row["dataset"], row["seen"], row["half"], row["method"]) == place)
    costs = [row["flops_per_user"] for row in same if row["flops_per_user"] is not None]
    return sum(costs) / len(costs) if costs else None


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
        place = (goal["dataset"], goal["seen"], goal["method"], "all")
        same = [row for row in rows if (row["dataset"], row["seen"], row["method"], row["half"]) == place]
        met, found = [], []
        for metric in ("recall@10", "ndcg@10"):
            values = [row[metric] for row in same if row[metric] is not None]
            mean = round(sum(values) / len(values), 6) if values else None  # rows hold six digits
            met.append(None if mean is None else mean >= goal[metric])
            found += [figure(goal[metric]), figure(mean)]
        verdict = "not run" if None in met else "met" if all(met) else "missed"
        seeds = str(len(same)) if same else ""
        names = (titled(goal["dataset"]), protocol(goal["seen"]), f"`{goal['method']}`", goal["kind"])
        cells.append([*names, *found, seeds, verdict])
    columns = ["data", "past items", "method", "", "R@10 wanted", "R@10", "N@10 wanted", "N@10", "seeds", "verdict"]
    return table(columns, cells)
