"""`promise score`: the figures of evaluate, differences user by user, files that join the leaderboard, wrong ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.metrics.intervals import paired_interval
from promise.metrics.ranking import recall_values
from promise.pipeline.leaderboard import SHOWN, read_standings, tables

ROOT = Path(__file__).resolve().parent.parent
BOARD = ROOT / "sweeps" / "leaderboard"
ABOUT = ("score.recipe='counts | of <pairs>'", "score.source='us, Apache-2.0'")
USERS = {"amazon_beauty": 22_363, "amazon_sports": 35_598, "amazon_toys": 19_412, "amazon_union": 254_174}
REMOVED = {"keep": False, "remove": True}


@pytest.fixture(scope="module")
def lists(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `predictions=` writes of counts, on validation targets."""
    file = tmp_path_factory.mktemp("lists") / "it's, mine.parquet"
    written = file.with_name("lists.parquet")
    run("evaluate", "search=co_visit", f"predictions={written}")
    return written.rename(file)


@pytest.fixture(scope="module")
def board(run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard that two baselines have joined."""
    folder = tmp_path_factory.mktemp("board")
    for name in ("co_visit", "popularity"):
        said = run("score", f"search={name}", f"score.add={name}", f"score.leaderboard={folder}", *ABOUT).json
        assert said["paths"] == {"ranks": str(folder / "s3rec-validation" / f"{name}.parquet")}
    return folder


def test_a_file_has_the_figures_of_evaluate_and_needs_the_data_alone(run, run_bare, world, lists, board, tmp_path):
    words = (*world.words, f"store={tmp_path}", f"score.leaderboard={board}")
    said = run_bare("score", str(lists), *words).json
    assert said["trained"] == ["data"] and [path.name[:5] for path in tmp_path.glob("artifacts/[a-z]*")] == ["data-"]
    for seen, removed in REMOVED.items():
        found = run("evaluate", "search=co_visit", f"evaluation.remove_seen={removed}").json
        for name in ("recall@5", "recall@10", "ndcg@5", "ndcg@10"):
            assert said["metrics"][seen][name] == [found["metrics"][name], *found["intervals"][name]]
    assert said["differences"]["keep"]["co_visit"] == {name: [0, 0, 0] for name in ("recall@10", "ndcg@10")}
    assert said["metrics"]["keep"]["recall@50"] is None and said["lengths"]["keep"] == 40  # the whole catalogue


def test_ranks_on_the_leaderboard_are_those_of_the_rows(run: Any, board: Path) -> None:
    standings = {each.about["method"]: each for each in read_standings(board)}
    for name, each in standings.items():
        assert each.about["command"] == (
            "promise score data=s3rec data.sequences=FILE data.items=FILE generator=tiny generator.dim=16 ids.codes=8 "
            "training.epochs=2 checkpoint_selection.users=20 checkpoint_selection.width=5 "
            f"search={name} split=validation seed=0"
        )
        for seen, removed in REMOVED.items():
            words = (f"search={name}", f"evaluation.remove_seen={removed}")
            path = Path(run("evaluate", *words).json["paths"]["row"])
            ranks = np.load(path.with_suffix(".npy"))
            assert each.ranks[seen].dtype == np.uint16
            assert np.array_equal(np.where(ranks < 500, ranks + 1, 0), each.ranks[seen])
            row = json.loads(path.read_text())
            assert [each.interval(seen, metric).mean for metric in SHOWN] == [row[metric] for metric in SHOWN]
    said = run("score", "search=popularity", f"score.leaderboard={board}").json["differences"]["remove"]
    pair = [recall_values(standings[name].ranks["remove"].astype(int) - 1, 10) * (standings[name].ranks["remove"] > 0)
            for name in ("popularity", "co_visit")]  # fmt: skip
    found = paired_interval(*pair)
    assert said["co_visit"]["recall@10"] == [found.mean, found.low, found.high] and found.mean < 0


def test_networks_are_those_of_a_model_folder(run: Any, model: Path, board: Path, tmp_path: Path) -> None:
    words = (f"checkpoint={model}", "search.width=10")
    said = run("score", *words, f"score.leaderboard={board}", store=tmp_path).json
    assert said["trained"] == ["data"] and said["lengths"] == {"keep": 10, "remove": 10}
    for seen, removed in REMOVED.items():
        found = run("evaluate", *words, f"evaluation.remove_seen={removed}").json["metrics"]
        assert {name: ends and ends[0] for name, ends in said["metrics"][seen].items()} == {n: found[n] for n in SHOWN}


def test_the_page_has_the_best_first_and_differences_to_it(board: Path) -> None:
    text = tables(board)
    assert "## S3Rec, validation targets of 60 users" in text
    order = [line.split(" | ")[0] for line in text.splitlines() if line.startswith(("| co_visit", "| popularity"))]
    assert order == ["| co_visit", "| popularity"] * 3
    assert r"counts \| of &lt;pairs&gt; | us, Apache-2.0 | <code>promise score data=s3rec" in text
    best = next(line for line in text.splitlines() if line.startswith("| co_visit"))
    assert best.endswith("| – | – |")


def table(lists: Path) -> pl.DataFrame:
    """The lists with a row per user and rank, as `promise recommend` has them."""
    long = pl.read_parquet(lists).select("user", item="items").explode("item", empty_as_null=True)
    return long.with_columns(rank=pl.col("item").cum_count().over("user"))


def test_rows_are_in_the_order_of_their_ranks(run_bare, world, shared_store, lists, board, here):
    table(lists).reverse().write_csv("rows.csv")
    words = (*world.words, f"store={shared_store}", f"score.leaderboard={board}")
    found = [run_bare("score", file, *words).json["metrics"] for file in ("rows.csv", str(lists))]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            lambda rows: rows.with_columns(user=pl.format("x{}", "user")),
            "search.file=FILE has 60 users whom the data don't have",
        ),
        (lambda rows: pl.concat([rows, rows]), "search.file: user user"),
        (lambda rows: rows.with_columns(item=pl.col("item") + 1), "search.file=FILE has "),
        (lambda rows: rows.with_columns(item=pl.format("i{}", "item")), "search.file=FILE has "),
        (lambda rows: rows.with_columns(item=pl.col("item") + 0.5), "search.file=FILE has "),
        (
            lambda rows: rows.with_columns(rank=pl.lit("NaN")),
            "search.file: rows.csv:2: rank must be a number or a date, all rows alike, got",
        ),
        (
            lambda rows: rows.with_columns(rank=None),
            "search.file: rows.csv:2: rank must be a number or a date, all rows alike, got nothing",
        ),
        (lambda rows: rows.with_columns(rank=1), "search.file: user user"),
        (lambda rows: rows.drop("user"), "data.user must be one of the columns item, rank, got none"),
        (lambda rows: rows.drop("item"), "data.item must be one of the columns user, rank, got none"),
        (lambda rows: rows.head(0), "search.file: rows.csv has no row with a user"),
    ],
)
def test_wrong_tables_are_one_line(run_bare, world, shared_store, lists, board, here, change, error):
    change(table(lists)).write_csv("rows.csv")
    words = (*world.words, f"store={shared_store}", f"score.leaderboard={board}", "score.add=mine", *ABOUT)
    said = run_bare("score", "rows.csv", *words).error
    assert said.startswith(error.replace("FILE", "rows.csv"))
    assert not list(board.rglob("mine*"))


def test_two_lists_of_a_user_and_those_of_another_split_are_one_line(run_bare, world, shared_store, lists, here):
    words = (*world.words, f"store={shared_store}")
    said = pl.read_parquet(lists)
    pl.concat([said, said.head(1)]).write_parquet("twice.parquet")
    assert run_bare("score", "twice.parquet", *words).error == f"search.file: user {said['user'][0]} has two lists"
    error = run_bare("score", str(lists), *words, "split=test").error
    assert error.startswith(f"search.file={lists} is of other targets than split=test: ")
    assert run_bare("score", "none.csv", *words).error == "search.file: no such file: none.csv"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            "evaluation.users=10",
            "evaluation.users must be null: promise score measures whole lists of all users, got 10",
        ),
        ("predictions=x.jsonl", "predictions must be null: promise score measures whole lists of all users, got x.j"),
        ("score.add=a/b", "score.add must be a name of a-z, 0-9, _, - and dots, got a/b"),
        ("score.add=mine score.source=us", "score.add=mine needs score.recipe"),
        ("score.add=mine", "score.add=mine needs score.recipe and score.source"),
        ("seed=7 search=guided", "artifact"),
    ],
)
def test_wrong_options_are_one_line_and_nothing_is_trained(run: Any, board: Path, words: str, error: str) -> None:
    said = run("score", "search=co_visit", f"score.leaderboard={board}", *words.split()).error
    assert error in said


@pytest.mark.parametrize("harm", ["rank", "about", "name", "folder", "plain", "text"])
def test_a_file_that_was_changed_is_one_line(run: Any, board: Path, tmp_path: Path, harm: str) -> None:
    shutil.copytree(board, tmp_path / "board")
    path = tmp_path / "board" / "s3rec-validation" / "popularity.parquet"
    ranks, about = pl.read_parquet(path), pl.read_parquet_metadata(path)["promise"]
    if harm == "rank":
        ranks.with_columns(pl.lit(1, pl.UInt16).alias("keep")).write_parquet(path, metadata={"promise": about})
    elif harm == "about":
        ranks.write_parquet(path, metadata={"promise": about.replace("counts", "networks")})
    elif harm == "name":
        path = path.rename(path.with_name("best.parquet"))
    elif harm == "folder":
        (tmp_path / "board" / "s3rec-test").mkdir()
        path = path.rename(tmp_path / "board" / "s3rec-test" / path.name)
    elif harm == "plain":
        ranks.write_parquet(path)
    else:
        path.write_text("ranks")
    words = ("score", "search=co_visit", f"score.leaderboard={tmp_path / 'board'}")
    said = run(*words, *(["split=test"] if harm == "folder" else [])).error
    assert said == f"{path} is not as promise score wrote it: its contents, name or folder have changed"


def test_ranks_of_other_data_are_one_line(run: Any, board: Path, world: Any, tmp_path: Path) -> None:
    lines = (world.folder / "sequences.txt").read_text().splitlines()
    (tmp_path / "fewer.txt").write_text("\n".join(lines[1:]))
    words = (f"data.sequences={tmp_path / 'fewer.txt'}", f"score.leaderboard={board}")
    said = run("score", "search=co_visit", *words).error
    assert said.startswith(f"{board / 's3rec-validation'}: co_visit is of other users or targets (")


@pytest.mark.skipif(not BOARD.is_dir(), reason="not a checkout")
def test_the_committed_ranks_are_whole_small_and_those_of_the_committed_rows() -> None:
    assert sum(path.stat().st_size for path in BOARD.rglob("*")) <= 20e6
    rows = pl.read_csv(ROOT / "sweeps" / "results" / "headline.csv").filter(half="all", split="test", seed=0)
    standings = read_standings(BOARD)
    compared = 0
    for each in standings:
        about = each.about
        assert {len(ranks) for ranks in each.ranks.values()} == {USERS[about["data"]]}
        assert len({other.about["targets"] for other in standings if other.about["data"] == about["data"]}) == 1
        for seen, ranks in each.ranks.items():
            assert ranks.max() <= about["lengths"][seen] <= 500
            for row in rows.filter(dataset=about["data"], method=about["method"], seen=seen).to_dicts():
                told = [row[name] for name in SHOWN if row[name] is not None]
                found = [each.interval(seen, name).mean for name in SHOWN if row[name] is not None]
                assert np.allclose(found, told, rtol=0, atol=1e-6)
                compared += 1
    assert compared >= 16
