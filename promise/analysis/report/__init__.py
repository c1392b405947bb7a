"""RESULTS.md: everything that the committed rows show, and what has not been run, built from CSV files alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from promise.analysis.analysis_tables import drift_section, laws_section, sizes_section
from promise.analysis.headline import (
    COMPARISON_COLUMNS,
    GOAL_COLUMNS,
    METHODS,
    PUBLISHED_COLUMNS,
    ROW_COLUMNS,
    SEEN,
    Row,
    read_table,
)  # fmt: skip
from promise.analysis.markdown import listed, protocol, titled
from promise.analysis.report_tables import front_table, halves_table, methods_table, points_table, published_table
from promise.analysis.verdicts import differences, goal_table, half_shortfalls, published_above, shortfalls

SEEDS = 3
"""Seeds that a headline row should have."""

WIDTH = re.compile(r"search\.width=(\d+)")
"""Beams of a headline row, in its command, where they are not the configuration's own."""


@dataclass(frozen=True)
class Kept:
    """A table of a run that is kept as `NAME-DATA-SPLIT-SEED.csv`.

    Attributes:
        title: Heading of its section.
        words: What makes it, after `promise`, without the dataset.
        section: Lines of its part of the report.
        table: The run's file.
    """

    title: str
    words: str
    section: Callable[[Path], list[str]] = points_table
    table: str = "results.csv"


KEPT = {
    "drift": Kept("Semantic drift", "evaluate analysis=drift", drift_section, "drift.csv"),
    "laws": Kept("Scaling laws", "sweep +sweeps=scaling", laws_section, "laws.csv"),
    "candidates": Kept("Candidates", "sweep +sweeps=candidates"),
    "width": Kept("Width", "sweep +sweeps=width"),
    "size": Kept("Sizes of the generator", "sweep +sweeps=size"),
    "sizes": Kept("Smaller and guided, or larger", "sweep +sweeps=size", sizes_section, "sizes.csv"),
    "weight": Kept("Weight λ of the reward", "sweep +sweeps=weight"),
    "scaling": Kept("Sizes, beams and candidates together", "sweep +sweeps=scaling", front_table),
    "tune": Kept("A study of the dials", "sweep +sweeps=tune", front_table),
    "depth": Kept("Reward at some depths only", "sweep +sweeps=depth"),
    "scorer": Kept("Kind of reward model", "sweep +sweeps=scorer"),
    "training": Kept("Joint or staged, and negatives", "sweep +sweeps=training"),
    "ids": Kept("Semantic IDs", "sweep +sweeps=ids"),
}
"""By the name that its files begin with; of sweeps, the sweep's own name."""

ABLATION = "ablation-"
"""Sweeps of such a name are kept too."""

INTRODUCTION = """\
# Results

Written by `make results` from the rows in `sweeps/results/`, and from nothing else; `headline.csv` has the command of
every row in its last column, `sweeps/results/README.md` those of the other files. Test targets, all users, all items
ranked, W = 20 beams, C = 10 W candidates and λ = 1, unless a section says otherwise. A difference is claimed (**bold**;
with − a loss) when its 95 % interval (paired bootstrap over users, 10,000 resamples, of the per-user mean over seeds)
excludes 0 **and** every seed has the same sign; with one seed the second says nothing. There are some hundred such
intervals, each taken by itself: a few will miss by chance. R = Recall, N = NDCG; one multiply-add = 2 FLOPs.
Nobody in the Amazon sets has an item twice, and the generator and the reward here have a learned term for items that
the user already has (`overlap`; SASRec has none): their figures with past items kept therefore come close to those with
past items removed. Hold them against published rows of both protocols. Both networks also take the counts of
`co_visit_text` and the most similar texts as learned terms (`neighbours`, `text_neighbours`), guided or not; a
user's own history is taken out of the counts. So `plain` stands on them as much as `guided` does."""

GOALS = "Set before the runs, from published figures, though not everywhere from the highest."

HALVES_NOTE = """\
The files keep purchases of one day in the order of their product numbers. Who learns this order gains on users whose
target's number is above that of their last item, and not on the others. Halves on which guided search is not better:"""


def build(folder: Path, experiments: Collection[str] = ()) -> str:
    """The text of RESULTS.md.

    Args:
        folder: Where the committed rows lie.
        experiments: Names of experiments; commands for a dataset of such a name use it.

    Returns:
        The text; the same for the same files.

    Raises:
        ValueError: If the folder is missing, or a file in it is not what its name says.
    """
    if not folder.is_dir():
        raise ValueError(f"no folder of results: {folder}")
    rows = tested(read_table(folder / "headline.csv", ROW_COLUMNS))
    compared = tested(read_table(folder / "comparisons.csv", COMPARISON_COLUMNS))
    goals = read_table(folder / "goals.csv", GOAL_COLUMNS)
    published = read_table(folder / "published.csv", PUBLISHED_COLUMNS)
    datasets = list(dict.fromkeys(row["dataset"] for row in (*goals, *published, *rows)))
    parts = [INTRODUCTION]
    parts += section("Where guided search does not win", shortfalls(compared, rows))
    if above := published_above(published, rows):
        parts += ["", "Figures from elsewhere that it does not reach:", "", *above]
    parts += section("The methods", [f"- `{name}`: {about}" for name, about in METHODS.items()])
    parts += section("Guided search against every method", differences(compared))
    parts += section("Goals", [GOALS, "", *goal_table(goals, rows)])
    parts += section("Halves of the users", [HALVES_NOTE, "", *half_shortfalls(compared)])
    for dataset in datasets:
        for seen in SEEN:
            mine, others, elsewhere = (
                [row for row in each if (row["dataset"], row["seen"]) == (dataset, seen)]
                for each in (rows, compared, published)
            )
            parts += of_protocol(dataset, seen, mine, others, elsewhere)
    missing = not_run(datasets, rows, experiments)
    for name, kept in KEPT.items():
        paths = sorted(folder.glob(f"{name}-*.csv"))
        parts += of_files(kept.title, paths, kept.section)
        if not paths:
            missing.append(f"- {kept.title}: `{command(kept.words, next(iter(datasets), None), experiments)}`")
    further = [path for path in sorted(folder.glob(f"{ABLATION}*.csv")) if not path.name.startswith(tuple(KEPT))]
    parts += of_files("Other ablations", further, points_table)
    added = "The folder that a run names is added by `promise results add FOLDER`, and shown after `make results`."
    parts += section("Not run yet", [*missing, "", added] if missing else ["Nothing is missing."])
    return "\n".join(parts) + "\n"


def tested(rows: Iterable[Row]) -> list[Row]:
    """Rows of test targets: what was chosen on validation targets proves nothing there."""
    return [row for row in rows if row["split"] == "test"]


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A heading and what stands below it."""
    return ["", f"## {title}", "", *lines]


def of_protocol(dataset: str, seen: str, rows: list[Row], compared: list[Row], published: list[Row]) -> list[str]:
    """The tables of one dataset and one treatment of past items; nothing where there is neither row nor figure."""
    lines: list[str] = []
    if rows:
        everyone = [row for row in rows if row["half"] == "all"]
        lines += [*methods_table(everyone, [row for row in compared if row["half"] == "all"]), ""]
        lines += [basis(rows, compared), ""]
    if published:
        lines += ["Figures from elsewhere under this protocol, not run here:", "", *published_table(published), ""]
    if rows and (halves := halves_table(rows, compared)):
        lines += ["The same methods by the order of product numbers (target above or below the user's last item):", ""]
        lines += [*halves, ""]
    return section(f"{titled(dataset)}, {protocol(seen)}", lines[:-1]) if lines else []


def basis(rows: list[Row], compared: list[Row]) -> str:
    """How many seeds and users stand behind a table, and its beams where they are not the configuration's own."""
    seeds = sorted({row["seed"] for row in rows})
    words = [f"Seeds {listed([str(seed) for seed in seeds])}" if len(seeds) > 1 else f"One seed ({seeds[0]})"]
    if users := max((row["users"] for row in compared if row["half"] == "all"), default=None):
        words.append(f"{users:,} users")
    widths = sorted({width for row in rows for width in WIDTH.findall(row["command"])}, key=int)
    words += [f"W = {listed(widths)}"] if widths else []
    return f"{', '.join(words)}."


def of_files(title: str, paths: list[Path], make: Callable[[Path], list[str]]) -> list[str]:
    """A section with one part per file."""
    if not paths:
        return []
    lines = []
    for path in paths:
        lines += [f"`{path.name}`", "", *make(path), ""]
    return section(title, lines[:-1])


def not_run(datasets: Iterable[str], rows: list[Row], experiments: Collection[str]) -> list[str]:
    """Headline rows that are missing, or have fewer than three seeds, with the command that makes them."""
    lines = []
    for dataset in datasets:
        widths = {width for row in rows if row["dataset"] == dataset for width in WIDTH.findall(row["command"])}
        words = " ".join(
            [
                command("sweep +sweeps=headline", dataset, experiments),
                *(f"sweep.width={width}" for width in sorted(widths)),
            ]
        )
        for seen in SEEN:
            seeds = dict.fromkeys(METHODS, 0)
            for row in rows:
                if (row["dataset"], row["seen"], row["half"]) == (dataset, seen, "all"):
                    seeds[row["method"]] = seeds.get(row["method"], 0) + 1
            place = f"{titled(dataset)}, {protocol(seen)}"
            none = [f"`{name}`" for name, count in seeds.items() if not count]
            few = [f"`{name}` ({count})" for name, count in seeds.items() if 0 < count < SEEDS]
            if none:
                lines.append(f"- {place}: {'every method' if len(none) == len(METHODS) else listed(none)}: `{words}`")
            if few:
                lines.append(f"- {place}, fewer than {SEEDS} seeds: {listed(few)}: `{words}`")
    return lines


def command(words: str, dataset: str | None, experiments: Collection[str]) -> str:
    """A line to type; DIR is the folder of the dataset's files."""
    if dataset is None:
        return f"promise {words} split=test"
    group = "experiment" if dataset in experiments else "data"
    return f"promise {words} {group}={dataset} data.root=DIR split=test"
