"""The report's sections on drift, scaling laws and sizes, from the tables that these analyses write."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from promise.analysis.markdown import MISSING, figure, flops, interval, listed, protocol, short, signed, table, titled
from promise.analysis.report_tables import number

TextRow = dict[str, str]

DRIFT_COLUMNS = ("dataset", "split", "seed", "seen", "users", "W", "C", "depth", "measure", "value", "low", "high")
DRIFT_WORDS = """\
Shares of users. *Teacher-forced* and *free-running*: the generator's likeliest code is the true one, after the true
codes or after its own (*_prefix*: with all codes before; *after_error*: of users whose path is wrong already).
*hrecall*: the true prefix is among the W kept by the plain beam, the guided one, or one with a perfect judge; *rescue*
and *damage*: only the guided one keeps it, or only the plain one; *proposal_recall*: it is among the C candidates.
There, *reward* and *likelihood* give it a median rank, a mean reciprocal rank (*mrr*) and a place among the best W
(*top_width*); *ece* is the calibration error of their softmax over the candidates."""

LAW_SEARCH = ("group", "data", "split", "users", "seen", "generator", "reward", "training", "width", "weight", "seeds")
ALONG = {"flops_per_user": "FLOPs per user"}
LAW_FIGURES = ("a", "b", "c", "predicted", "observed", "error")
LAW_COLUMNS = (
    *LAW_SEARCH, "metric", "along", "x0", "law", "form", "preferred", "verdict", "reason", "held_out_x", "turning_x",
    *(f"{name}{end}" for name in LAW_FIGURES for end in ("", "_low", "_high")),
)  # fmt: skip
SIZE_COLUMNS = (
    "data", "split", "users", "seed", "seen", "smaller", "larger", "width", "candidates", "guided", "plain",
    "guided_flops", "plain_flops", "difference", "low", "high",
)  # fmt: skip


def read(path: Path, columns: Sequence[str]) -> list[TextRow]:
    """The rows of a CSV file as text.

    Raises:
        ValueError: If a column is missing, or there is no row.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in columns if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{path} must have at least one row, and the columns {', '.join(columns)}")
    return rows


def drift_section(path: Path) -> list[str]:
    """Measures over depths, after sentences on what guided search rescues and damages.

    Raises:
        ValueError: If the file is no table of drift.
    """
    rows = read(path, DRIFT_COLUMNS)
    first = rows[0]
    about = (
        f"{titled(first['dataset'])}, {first['split']} targets of {int(first['users']):,} users, seed {first['seed']}, "
    )
    about += f"{protocol(first['seen'])}, W = {first['W']}, C = {first['C']}."
    cells: dict[str, dict[str, TextRow]] = {}
    for row in rows:
        if "_bin" not in row["measure"]:  # the reliability diagram, which only a figure shows well
            cells.setdefault(row["measure"], {})[row["depth"]] = row
    depths = sorted({row["depth"] for row in rows if row["depth"]}, key=int)
    by_depth = {name: by for name, by in cells.items() if "" not in by}
    whole = {name: by[""] for name, by in cells.items() if "" in by}
    lines = [about, "", *rescued(cells), "", DRIFT_WORDS]
    if by_depth:
        columns = ["measure", *(f"depth {depth}" for depth in depths)]
        lines += ["", *table(columns, ([name, *(ranged(by.get(d)) for d in depths)] for name, by in by_depth.items()))]
    if whole:
        lines += ["", *table(["measure", "lists"], ([name, ranged(row)] for name, row in whole.items()))]
    return lines


def rescued(cells: dict[str, dict[str, TextRow]]) -> list[str]:
    """Per depth and for the final lists: whether guided search saves more true prefixes than it loses."""
    lines = []
    for name, by in cells.items():
        if not name.startswith("net_rescue"):
            continue
        for depth, row in by.items():
            value, low, high = (number(row[column]) for column in ("value", "low", "high"))
            if value is None or low is None or high is None:
                continue
            place = f"At depth {depth}" if depth else f"In the lists ({name.removeprefix('net_rescue@')} items)"
            verdict = "saves more than it loses" if low > 0 else "loses **more** than it saves" if high < 0 else None
            said = verdict or "loses as much as it saves, as far as can be told"
            lines.append(f"- {place} guided search {said}: {interval(value, low, high)} of the users.")
    return lines


def ranged(row: TextRow | None) -> str:
    """A measure with its interval, where it has one; a rank is no share."""
    if row is None:
        return MISSING
    value, low, high = (number(row[name]) for name in ("value", "low", "high"))
    if value is None:
        return MISSING
    form = "{:g}".format if row["measure"].endswith("_rank") else signed if "net_" in row["measure"] else figure
    return form(value) if low is None or high is None else f"{form(value)} ({form(low)} to {form(high)})"


def laws_section(path: Path) -> list[str]:
    """Per search: for each metric and axis the verdict, the turning point and what could not be fitted; then the fits.

    Raises:
        ValueError: If the file is no table of laws.
    """
    searches: dict[str, dict[tuple[str, str], list[TextRow]]] = {}
    for row in read(path, LAW_COLUMNS):
        searches.setdefault(row["group"], {}).setdefault((row["metric"], row["along"]), []).append(row)
    lines: list[str] = []
    for curves in searches.values():
        of = next(iter(curves.values()))[0]
        users = f"{of['split']} targets of {int(of['users']):,} users, {protocol(of['seen'])}"
        networks = f"`generator={of['generator']}` `reward={of['reward']}` `training={of['training']}`"
        dials = f"W = {of['width']}, λ = {of['weight']}, seeds {of['seeds']}"
        lines += [f"**{titled(of['data'])}**, {users}, {networks}, {dials}", ""]
        lines += [curve_line(*curve, same) for curve, same in curves.items()]
        if fitted := [row for same in curves.values() for row in same if not row["reason"]]:
            lines += ["", *law_table(fitted)]
        lines.append("")
    return lines[:-1]


def curve_line(metric: str, along: str, rows: Sequence[TextRow]) -> str:
    """What one curve's laws come to; of those that could not be fitted the reason, once."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["reason"]:
            reasons.setdefault(row["reason"], []).append(row["law"])
    refused = [f" Not fitted: {listed(laws)}, for {reason}." for reason, laws in reasons.items()]
    return f"- {curve_name(metric, along)}: {sentence(rows[0]['verdict'])} {turning(rows[0])}{''.join(refused)}"


def curve_name(metric: str, along: str) -> str:
    """A curve in a few words.

    >>> curve_name("hrecall@2", "flops_per_user")
    'HRecall@2 against FLOPs per user'
    """
    return f"{short(metric)} against {ALONG.get(along, along)}"


def sentence(text: str) -> str:
    """Words as a sentence.

    >>> sentence("a wins"), sentence("A wins.")
    ('A wins.', 'A wins.')
    """
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def turning(row: TextRow) -> str:
    """From where on more candidates hurt."""
    if not row["turning_x"]:
        return "No turning point: nowhere is more shown to hurt."
    return f"From {float(row['turning_x']):g} on more hurts."


def law_table(rows: Iterable[TextRow]) -> list[str]:
    """Parameters and the held-out point of every law that was fitted, the preferred ones in bold."""
    cells = []
    for row in rows:
        name, curve = f"{row['law']}: {row['form']}", curve_name(row["metric"], row["along"])
        figures = []
        for column in LAW_FIGURES:
            value, low, high = (number(row[f"{column}{end}"]) for end in ("", "_low", "_high"))
            text = MISSING if value is None else f"{value:.3g}"
            figures.append(text if low is None or high is None else f"{text} ({low:.3g} to {high:.3g})")
        xs = [f"{float(row[column]):.4g}" if row[column] else MISSING for column in ("x0", "held_out_x")]
        preferred = row["preferred"].lower() == "true"
        cells.append([curve, f"**{name}**" if preferred else name, *figures[:3], *xs, *figures[3:]])
    return table(["curve", "law", "a", "b", "c", "x0", "held-out x", "predicted", "observed", "error"], cells)


def sizes_section(path: Path) -> list[str]:
    """Whether a smaller guided generator does what larger plain ones do, and at what share of their FLOPs.

    Raises:
        ValueError: If the file is no table of sizes.
    """
    rows = read(path, SIZE_COLUMNS)
    first = rows[0]
    about = f"{titled(first['data'])}, {first['split']} targets of {int(first['users']):,} users, "
    about += f"{protocol(first['seen'])}. "
    about += "Each smaller generator is guided by its reward model with its largest C; the larger one is a plain beam."
    pairs: dict[tuple[str, str], list[TextRow]] = {}
    for row in rows:
        pairs.setdefault((row["smaller"], row["larger"]), []).append(row)
    verdicts = [pair_sentence(*pair, same) for pair, same in pairs.items()]
    columns = ["seed", "W", "C", "smaller, guided", "R@10", "FLOPs per user", "larger, plain", "R@10", "FLOPs per user"]
    cells = [
        [
            *(row[name] for name in ("seed", "width", "candidates", "smaller")),
            figure(float(row["guided"])),
            flops(float(row["guided_flops"])),
            row["larger"],
            figure(float(row["plain"])),
            flops(float(row["plain_flops"])),
            interval(*(float(row[name]) for name in ("difference", "low", "high"))),
        ]
        for row in rows
    ]
    return [about, "", *verdicts, "", *table([*columns, "guided − plain, R@10"], cells)]


def pair_sentence(smaller: str, larger: str, rows: Sequence[TextRow]) -> str:
    """The verdict on "smaller and search >= larger" over all widths and seeds of one pair."""
    worse = sum(float(row["high"]) < 0 for row in rows)
    better = sum(float(row["low"]) > 0 for row in rows)
    shares = [float(row["guided_flops"]) / float(row["plain_flops"]) for row in rows]
    low, high = (f"{end(shares):.2f}" for end in (min, max))
    cost = f"at {low if low == high else f'{low} to {high}'} of its FLOPs"
    open_ones = len(rows) - worse - better
    of = f"{len(rows)} comparison{'s' if len(rows) > 1 else ''}"
    counted = f"better in {better}, not told apart in {open_ones}, worse in {worse} of {of}"
    verdict = "**false**" if worse else "true" if better == len(rows) else "not contradicted"
    return f"- `{smaller}` guided ≥ `{larger}` plain: {verdict} ({counted}), {cost}."
