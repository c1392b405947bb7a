"""`promise results`: RESULTS.md is that of the committed rows; a run's rows are taken in; wrong ones are one line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise import cli, results
from promise.analysis.report.headline import (
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    ROW_COLUMNS,
    ROW_KEY,
    read_table,
    write_table,
)
from promise.analysis.report.results_md import build
from promise.analysis.results import write_results

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "sweeps" / "results"


@pytest.mark.skipif(not ROWS.is_dir(), reason="not a checkout")
def test_the_committed_page_is_that_of_the_committed_rows() -> None:
    text = build(ROWS)
    assert (ROOT / "RESULTS.md").read_text("utf-8") == text, "RESULTS.md is stale: run `make results`"
    assert text.count("\n") <= 250


def row(**values: Any) -> dict[str, Any]:
    base = dict.fromkeys(ROW_COLUMNS) | {"dataset": "shop", "seen": "keep", "half": "all", "split": "test", "seed": 0}
    return base | {"method": "guided", "recall@10": 0.05, "command": "promise evaluate seed=0"} | values


def comparison(**values: Any) -> dict[str, Any]:
    base = dict.fromkeys(COMPARISON_COLUMNS) | {"dataset": "shop", "seen": "keep", "half": "all", "split": "test"}
    figures = {"difference": 0.1, "low": 0.1, "high": 0.1, "seed_min": 0.1, "seed_max": 0.1, "seeds": 1, "users": 3}
    return base | {"metric": "ndcg@10", "method": "guided", "against": "plain"} | figures | values


def run_folder(folder: Path, rows: list[dict[str, Any]]) -> Path:
    write_table(pl.DataFrame(rows, infer_schema_length=None), folder / "headline.csv", ROW_KEY)
    write_table(pl.DataFrame([comparison()]), folder / "comparisons.csv", COMPARISON_KEY)
    return folder


def test_rows_are_merged_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_folder(tmp_path / "headline" / "a", [row(), row(seed=1)])
    second = run_folder(tmp_path / "headline" / "b", [row(seed=1, **{"recall@10": 0.09})])
    kept, page = tmp_path / "kept", tmp_path / "PAGE.md"
    words = ["--rows", str(kept), "--save", str(page)]
    assert cli.main(["results", *words, "add", str(first), str(second)]) == 0
    assert (
        capsys.readouterr().out.split()
        == ["wrote", str(kept / "headline.csv"), "wrote", str(kept / "comparisons.csv")] * 2
    )
    found = read_table(kept / "headline.csv", ROW_COLUMNS).to_dicts()
    assert [(each["seed"], each["recall@10"]) for each in found] == [(0, 0.05), (1, 0.09)]
    assert read_table(kept / "comparisons.csv", COMPARISON_COLUMNS).to_dicts() == [comparison()]
    before = (kept / "headline.csv").read_bytes()
    assert cli.main(["results", *words, "add", str(second)]) == 0
    assert (kept / "headline.csv").read_bytes() == before
    for word in ("generator=base", "search.width=50", "checkpoint=FILE", "trainer.limit_train_batches=5"):
        other = run_folder(tmp_path / "headline" / "c", [row(seed=2, command=f"promise evaluate {word} seed=2")])
        capsys.readouterr()
        assert cli.main(["results", *words, "add", str(other)]) == 2
        assert f"mixes guided of different options on shop: promise evaluate seed=0; promise evaluate {word}" in (
            capsys.readouterr().err
        )
    other = run_folder(tmp_path / "headline" / "d", [row(seed=5, data_fingerprint="sha256:a")])
    assert cli.main(["results", *words, "add", str(other)]) == 0
    other = run_folder(tmp_path / "headline" / "e", [row(seed=6, method="plain", data_fingerprint="sha256:b")])
    assert cli.main(["results", *words, "add", str(other)]) == 2
    assert "holds shop of other data (sha256:b) than the rows that are there (sha256:a)" in capsys.readouterr().err
    assert cli.main(["results", *words]) == 0
    assert page.read_text("utf-8") == build(kept)
    assert "| `guided` | 3 |" in page.read_text("utf-8")


def point(**values: Any) -> dict[str, Any]:
    names = {"data": "shop", "split": "test", "users": 9, "seed": 0, "seen": "keep", "search": "guided"}
    return names | {"recall@10": 0.1, "ndcg@10": 0.1, "status": "done"} | values


def test_tables_of_other_runs_are_copied_under_their_name(tmp_path: Path) -> None:
    weight, scaling = (tmp_path / name / "shop-test-0" for name in ("weight", "scaling"))
    for folder in (weight, scaling):
        write_results([point()], folder / "results.csv")
    (scaling / "laws.csv").write_text("a\n1\n")
    drift = tmp_path / "drift" / "shop-test-0"
    drift.mkdir(parents=True)
    (drift / "drift.csv").write_text("a\n1\n")
    kept = tmp_path / "kept"
    written = [path.name for folder in (weight, scaling, drift) for path in results.add(folder, kept)]
    assert written == [
        "weight-shop-test-0.csv",
        "laws-shop-test-0.csv",
        "scaling-shop-test-0.csv",
        "drift-shop-test-0.csv",
    ]
    assert (kept / written[0]).read_bytes() == (weight / "results.csv").read_bytes()


def test_what_cannot_be_taken_in_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"

    def error(folder: Path) -> str:
        assert cli.main(["results", "--rows", str(kept), "add", str(folder)]) == 2
        assert not kept.exists()
        return capsys.readouterr().err

    assert "none holds nothing to add: headline.csv, comparisons.csv, or what is kept of drift, laws, " in error(
        tmp_path / "none"
    )
    write_results([point()], tmp_path / "mine" / "shop-test-0" / "results.csv")
    assert "holds nothing to add" in error(tmp_path / "mine" / "shop-test-0")
    write_results([point(), point(seed=1, status="failed")], tmp_path / "size" / "shop-test-0" / "results.csv")
    assert "results.csv holds 1 points that failed: run the sweep again" in error(tmp_path / "size" / "shop-test-0")
    some = run_folder(tmp_path / "headline" / "some", [row(command="promise evaluate evaluation.users=9 seed=0")])
    assert error(some).endswith(
        "some holds rows of some users only (promise evaluate evaluation.users=9 seed=0): leave out evaluation.users\n"
    )
    (some / "headline.csv").write_text("a,b\n")
    assert "headline.csv must have the columns dataset, method, " in error(some)


@pytest.mark.parametrize("first", [2, 1])
def test_a_comparison_is_of_all_seeds(first: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"
    there, one = (
        run_folder(tmp_path / name, [row(seed=seed, method=method) for seed in seeds for method in ("guided", "plain")])
        for name, seeds in (("there", range(first)), ("one", [1]))
    )
    write_table(pl.DataFrame([comparison(seeds=first)]), there / "comparisons.csv", COMPARISON_KEY)
    assert cli.main(["results", "--rows", str(kept), "add", str(there)]) == 0
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    assert cli.main(["results", "--rows", str(kept), "add", str(one)]) == 2
    said = "leaves guided and plain on shop compared over 1 of seeds 0, 1: run the sweep for all of them together"
    assert said in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_no_folder_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["results", "--rows", str(tmp_path / "none"), "--save", str(tmp_path / "R.md")]) == 2
    assert capsys.readouterr().err == f"promise results: no folder of results: {tmp_path / 'none'}\n"
    assert not (tmp_path / "R.md").exists()


@pytest.mark.skipif(not ROWS.is_dir(), reason="not a checkout")
def test_it_needs_neither_torch_nor_hydra(tmp_path: Path) -> None:
    words = ["results", "--rows", str(ROWS), "--save", str(tmp_path / "R.md")]
    script = (
        f"import sys\nfrom promise.cli import main\nassert main({words!r}) == 0\n"
        "assert not {'torch', 'lightning', 'hydra'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
