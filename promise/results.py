"""`promise results`: writes RESULTS.md from the committed rows; `promise results add` takes in those of a run."""

import argparse
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from promise.analysis.report.headline import (
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    ROW_COLUMNS,
    ROW_KEY,
    merged,
    read_table,
    write_table,
)
from promise.analysis.report.results_md import build
from promise.analysis.report.sweep_tables import ABLATION, KEPT
from promise.analysis.results import read_results

TABLES = {"headline.csv": (ROW_COLUMNS, ROW_KEY), "comparisons.csv": (COMPARISON_COLUMNS, COMPARISON_KEY)}


def main(words: Sequence[str]) -> int:
    """Run the subcommand by the words after `promise results`; ValueError as `build` and `add` say it."""
    parser = argparse.ArgumentParser(prog="promise results", description="RESULTS.md and the rows behind it.")
    parser.add_argument(
        "--rows", default="sweeps/results", help="folder of the committed rows (default: sweeps/results)"
    )
    parser.add_argument("--save", default="RESULTS.md", help="the file to write (default: RESULTS.md)")
    actions = parser.add_subparsers(dest="action")
    text = "take in the rows of sweeps and analyses; a row that is there already is replaced"
    add_parser = actions.add_parser("add", help=text, description=text)
    add_parser.add_argument("folders", nargs="+", metavar="FOLDER", help="a run's folder, outputs/sweeps/NAME/DATA-…")
    arguments = parser.parse_args(words)
    rows = Path(arguments.rows)
    if arguments.action == "add":
        for path in (path for folder in arguments.folders for path in add(Path(folder), rows)):
            print(f"wrote {path}")
    else:
        Path(arguments.save).write_text(build(rows), encoding="utf-8")
        print(f"wrote {arguments.save}")
    return 0


def add(folder: Path, rows: Path) -> list[Path]:
    """Take in what a sweep or an analysis left in a folder, NAME/DATA-SPLIT-SEED; gives the files that are written.

    Headline rows and comparisons are merged; the tables of other sweeps and analyses are copied, named after them.

    Raises:
        ValueError: If there is nothing to take in, a point failed, headline rows are of some users only or of networks
            by other options than those of the same name, or comparisons are of fewer seeds.
    """
    folder = folder.resolve()
    kind, run = folder.parent.name, folder.name
    found = {path.name: path for path in folder.glob("*.csv")} if folder.is_dir() else {}
    tables = {name: read_table(found[name], columns) for name, (columns, _) in TABLES.items() if name in found}
    copies = {kept.table: f"{name}-{run}.csv" for name, kept in KEPT.items() if kept.table == f"{name}.csv"}
    if kind in KEPT or kind.startswith(ABLATION):
        copies[KEPT[kind].table if kind in KEPT else "results.csv"] = f"{kind}-{run}.csv"
    copies = {name: copy for name, copy in copies.items() if name in found}
    if not tables and not copies:
        raise ValueError(
            f"{folder} holds nothing to add: {', '.join(TABLES)}, or what is kept of {', '.join(KEPT)} (its name is "
            "that of the folder above)"
        )
    if "headline.csv" in tables:
        some = tables["headline.csv"].filter(pl.col("command").str.contains(r"\bevaluation\.users=\d"))
        if len(some):
            raise ValueError(
                f"{folder} holds rows of some users only ({some['command'][0]}): leave out evaluation.users"
            )
        there = read_table(rows / "headline.csv", ROW_COLUMNS)
        learnt = tables["headline.csv"].filter(pl.col("parameters").is_not_null())
        same = learnt.join(there, on=[*ROW_KEY[:-1]], suffix="_there", nulls_equal=True)
        for new, old in same.select("command", "command_there").unique(maintain_order=True).iter_rows():
            if networks_of(new) != networks_of(old):
                made = f"made by {new}, there by {old}"
                raise ValueError(f"{folder} has rows of other networks than {rows} under the same name: {made}")
    if "results.csv" in copies and (failed := sum(read_results(found["results.csv"])["status"] == "failed")):
        raise ValueError(f"{found['results.csv']} holds {failed} points that failed: run the sweep again")
    if "comparisons.csv" in tables:
        there = read_table(rows / "comparisons.csv", COMPARISON_COLUMNS)
        fewer = tables["comparisons.csv"].join(there, on=COMPARISON_KEY, suffix="_there", nulls_equal=True)
        for row in fewer.filter(pl.col("seeds") < pl.col("seeds_there")).head(1).iter_rows(named=True):
            raise ValueError(
                f"{folder} compares {row['method']} with {row['against']} on {row['dataset']} over {row['seeds']} "
                f"seeds, {rows} over {row['seeds_there']}: run the sweep for all of them together (sweep.seeds)"
            )
    rows.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        columns, key = TABLES[name]
        write_table(merged(read_table(rows / name, columns), table, key), rows / name, key)
    for name, copy in copies.items():
        shutil.copyfile(found[name], rows / copy)
    return [rows / name for name in (*tables, *copies.values())]


def networks_of(command: str) -> set[str]:
    """The words of a row's command that say which networks it is of.

    >>> sorted(networks_of("promise evaluate experiment=x generator.dim=8 seed=1 evaluation.batch=9 search.width=20"))
    ['experiment=x', 'generator.dim=8']
    """
    groups = ("experiment", "data", "embeddings", "ids", "content", "generator", "reward", "training", "cooccurrence")
    words = (word for word in shlex.split(command) if "=" in word)
    return {word for word in words if re.split(r"[.@=]", word.lstrip("+"))[0] in (*groups, "sasrec", "datamodule")}
