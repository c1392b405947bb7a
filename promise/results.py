"""`promise results`: writes RESULTS.md from the committed rows; `promise results add` takes in those of a run."""

import argparse
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from promise.analysis.report.sweep_tables import KEPT
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
        ValueError: If there is nothing to take in, a point failed, headline rows are of some users only or made by
            other options than those of the same method, or of other data, or comparisons are of fewer seeds than the
            rows.
    """
    folder = folder.resolve()
    kind, run = folder.parent.name, folder.name
    found = {path.name: path for path in folder.glob("*.csv")} if folder.is_dir() else {}
    tables = {name: read_table(found[name], columns) for name, (columns, _) in TABLES.items() if name in found}
    copies = {kept.table: f"{name}-{run}.csv" for name, kept in KEPT.items() if kept.table == f"{name}.csv"}
    if kind in KEPT:
        copies[KEPT[kind].table] = f"{kind}-{run}.csv"
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
    if "results.csv" in copies and (failed := sum(read_results(found["results.csv"])["status"] == "failed")):
        raise ValueError(f"{found['results.csv']} holds {failed} points that failed: run the sweep again")
    whole = {name: read_table(rows / name, columns) for name, (columns, _) in TABLES.items()}
    if "headline.csv" in tables:
        refuse_other_data(folder, tables["headline.csv"], whole["headline.csv"])
    whole |= {name: merged(whole[name], table, TABLES[name][1]) for name, table in tables.items()}
    if "headline.csv" in tables:
        refuse_mixed(folder, tables["headline.csv"], whole["headline.csv"])
    if "comparisons.csv" in tables:
        refuse_fewer_seeds(folder, tables["comparisons.csv"], whole)
    rows.mkdir(parents=True, exist_ok=True)
    for name in tables:
        write_table(whole[name], rows / name, TABLES[name][1])
    for name, copy in copies.items():
        shutil.copyfile(found[name], rows / copy)
    return [rows / name for name in (*tables, *copies.values())]


def refuse_other_data(folder: Path, new: pl.DataFrame, old: pl.DataFrame) -> None:
    """Raise ValueError if rows that are added are of other data than those of the same name that are there."""
    both = new.join(old, on=("dataset", "split"), suffix="_there").drop_nulls(["data_fingerprint_there"])
    for name, ours, theirs in both.select("dataset", "data_fingerprint", "data_fingerprint_there").unique().iter_rows():
        if ours != theirs:
            raise ValueError(f"{folder} holds {name} of other data ({ours}) than the rows that are there ({theirs})")


def refuse_mixed(folder: Path, new: pl.DataFrame, whole: pl.DataFrame) -> None:
    """Raise ValueError if a method that was added would have rows by different words, seeds and treatments aside."""
    place = ("dataset", "recipe", "split", "method")
    same = whole.join(new.select(place).unique(), on=place, nulls_equal=True)
    first: dict[tuple[Any, ...], str] = {}
    for *key, command in same.select(*place, "command").iter_rows():
        there = first.setdefault(tuple(key), command)
        if words_of(command) != words_of(there):
            raise ValueError(f"{folder} mixes {key[-1]} of different options on {key[0]}: {there}; {command}")


def words_of(command: str) -> set[str]:
    """The words of a row's command that all rows of its method have to share.

    >>> sorted(words_of("promise evaluate experiment=x generator.dim=8 seed=1 evaluation.remove_seen=true"))
    ['experiment=x', 'generator.dim=8']
    """
    own = ("seed", "split", "evaluation.remove_seen")
    return {word for word in shlex.split(command) if "=" in word and word.partition("=")[0] not in own}


def refuse_fewer_seeds(folder: Path, new: pl.DataFrame, whole: Mapping[str, pl.DataFrame]) -> None:
    """Raise ValueError if two methods that were added would be compared over fewer seeds than both have rows of."""
    place = ["dataset", "recipe", "split", "seen", "half"]
    rows = whole["comparisons.csv"].join(new.select(place).unique(), on=place, nulls_equal=True)
    seeds = {
        tuple(key): set(found)
        for *key, found in whole["headline.csv"].group_by([*place, "method"]).agg("seed").iter_rows()
    }
    for row in rows.iter_rows(named=True):
        ours, theirs = (seeds.get((*(row[name] for name in place), row[key]), set()) for key in ("method", "against"))
        if len(both := ours & theirs) > row["seeds"]:
            compared = f"{row['method']} and {row['against']} on {row['dataset']} compared over {row['seeds']}"
            named = ", ".join(map(str, sorted(both)))
            raise ValueError(
                f"{folder} leaves {compared} of seeds {named}: run the sweep for all of them together (sweep.seeds)"
            )
