"""What comparisons allow to say, in sentences: where guided search wins and where not; which goals are met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from promise.scaling.headline import BETTER_PLAIN, GUIDED, Row, claimed
from promise.scaling.markdown import figure, flops, interval, listed, protocol, short, table, titled

HALVES = {
    "all": "all users",
    "above": "users whose target has a higher product number than their last item",
    "below": "users whose target has a lower product number than their last item",
}


def shortfalls(comparisons: Iterable[Row], rows: Sequence[Row]) -> list[str]:
    """Where guided search is worse, or not told apart, or no better than what is cheaper.

    Args:
        comparisons: Of test targets.
        rows: Headline rows of test targets.

    Returns:
        Lines of a list; one that says so when there is nothing of the kind, or nothing was compared.
    """
    comparisons = list(comparisons)
    if not comparisons:
        return ["Nothing can be said yet: no comparison on test targets has been run."]
    lines = []
    for place, group in grouped(comparisons):
        sentences = [
            said(group, lambda row: claimed(row) < 0, "is **worse** than {}"),
            said(group, lambda row: claimed(row) == 0 and not undecided(row), "cannot be told apart from {}"),
            said(group, undecided, "has no claim against {}, for the sign changes between seeds"),
            cheaper(group, rows),
        ]
        if found := [sentence for sentence in sentences if sentence]:
            lines.append(f"- {place}: {' '.join(found)}")
    return lines or ["Nowhere: in every comparison that was run, guided search is better."]


def wins(comparisons: Iterable[Row]) -> list[str]:
    """Where guided search is better: the interval excludes 0 and every seed has the same sign."""
    lines = []
    comparisons = list(comparisons)
    if not comparisons:
        return ["Nothing can be said yet."]
    for place, group in grouped(comparisons):
        if sentence := said(group, lambda row: claimed(row) > 0, "is better than {}"):
            lines.append(f"- {place}: {sentence}")
    return lines or ["Nothing: in no comparison that was run is guided search better."]


def grouped(comparisons: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Comparisons of the same users, with the words that say who these are."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in comparisons:
        groups.setdefault((row["dataset"], row["seen"], row["half"]), []).append(row)
    found = []
    for (dataset, seen, half), group in groups.items():
        counts = sorted({row["seeds"] for row in group})
        seeds = f"{'–'.join(map(str, counts))} seed{'' if counts == [1] else 's'}"
        users = f"{HALVES.get(half, half)} ({max(row['users'] for row in group):,})"
        found.append((f"{titled(dataset)}, {protocol(seen)}, {users}, {seeds}", group))
    return found


def undecided(row: Row) -> bool:
    """Whether the interval excludes 0 and yet the seeds disagree."""
    return claimed(row) == 0 and (row["low"] > 0 or row["high"] < 0)


def said(group: Sequence[Row], holds: Callable[[Row], bool], words: str) -> str:
    """One sentence on the comparisons of a group that hold; empty when there are none."""
    against: dict[str, list[str]] = {}
    for row in filter(holds, group):
        text = f"{short(row['metric'])} {interval(row['difference'], row['low'], row['high'])}"
        against.setdefault(row["against"], []).append(text)
    parts = [f"{name_of(other)} in {listed(texts)}" for other, texts in against.items()]
    return f"{GUIDED} {words.format('; '.join(parts))}." if parts else ""


def cheaper(group: Sequence[Row], rows: Sequence[Row]) -> str:
    """Methods that take fewer FLOPs and are nowhere in the group beaten; the counts, which take none, aside."""
    costs: dict[str, list[float]] = {}
    for row in rows:
        if (row["dataset"], row["seen"], row["half"]) == (group[0]["dataset"], group[0]["seen"], "all"):
            costs.setdefault(row["method"], []).append(row["flops_per_user"] or 0.0)
    means = {method: sum(values) / len(values) for method, values in costs.items()}
    found = []
    for other in dict.fromkeys(row["against"] for row in group):
        beaten = any(claimed(row) > 0 for row in group if row["against"] == other)
        if group[0]["half"] == "all" and not beaten and 0 < means.get(other, 0) < means.get(GUIDED, 0):
            found.append(f"{name_of(other)} ({flops(means[other])} against {flops(means[GUIDED])})")
    return f"Not beaten, and with fewer FLOPs per user: {', '.join(found)}." if found else ""


def name_of(method: str) -> str:
    """A method in a sentence."""
    return "the better of `plain` and `plain_alone`" if method == BETTER_PLAIN else f"`{method}`"


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
