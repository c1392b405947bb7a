"""Figures and tables as the report writes them: metrics without their leading zero, differences with their sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MISSING = "–"
SHORT = {"recall": "R", "ndcg": "N", "hrecall": "HRecall"}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table.

    >>> table(["a", "b"], [["1", "2"]])
    ['| a | b |', '|---|---|', '| 1 | 2 |']
    """
    cells = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines[1] = lines[1].replace(" ", "")
    return lines


def figure(value: float | None) -> str:
    """A metric.

    >>> [figure(value) for value in (0.08214, 1.0, -0.00004, None)]
    ['.0821', '1.0000', '.0000', '–']
    """
    if value is None:
        return MISSING
    text = f"{abs(value):.4f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0") else text)


def signed(value: float) -> str:
    """A difference.

    >>> [signed(value) for value in (0.0104, -0.0104, 0.0)]
    ['+.0104', '−.0104', '.0000']
    """
    return f"+{figure(value)}" if figure(value) != ".0000" and value > 0 else figure(value)


def spread(values: Sequence[float | None]) -> str:
    """The mean over seeds, with the lowest and the highest where they differ.

    >>> spread([0.05, 0.06]), spread([0.05]), spread([None])
    ('.0550 (.0500–.0600)', '.0500', '–')
    """
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    low, high = figure(min(known)), figure(max(known))
    mean = figure(sum(known) / len(known))
    return mean if low == high else f"{mean} ({low}–{high})"


def interval(value: float, low: float, high: float) -> str:
    """A difference with its interval.

    >>> interval(0.0104, 0.0077, 0.0129)
    '+.0104 (.0077 to .0129)'
    """
    return f"{signed(value)} ({figure(low)} to {figure(high)})"


def flops(value: float | None) -> str:
    """FLOPs per user, three digits.

    >>> [flops(value) for value in (53_600_000.0, 2.64e9, 0.0, None)]
    ['53.6 M', '2.64 G', '0', '–']
    """
    if value is None:
        return MISSING
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g}"


def short(metric: str) -> str:
    """A metric's short name.

    >>> short("recall@10")
    'R@10'
    """
    name, _, k = metric.partition("@")
    return f"{SHORT.get(name, name)}@{k}"


def titled(dataset: str) -> str:
    """A dataset's name in a heading.

    >>> titled("amazon_beauty")
    'Amazon Beauty'
    """
    return dataset.replace("_", " ").title()


def protocol(seen: str) -> str:
    """How past items were treated.

    >>> protocol("keep"), protocol("remove")
    ('past items kept', 'past items removed')
    """
    return f"past items {past(seen)}"


def past(seen: str) -> str:
    """How past items were treated, where "past items" is said beside it.

    >>> past("keep"), past("remove")
    ('kept', 'removed')
    """
    return "kept" if seen == "keep" else "removed"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
