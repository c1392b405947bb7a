"""RESULTS.md as a whole: its order, what is missing, and that the same rows give the same bytes."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from promise import configs
from promise.analysis.headline import (
    COMPARISON_COLUMNS,
    COMPARISON_KEY,
    GOAL_COLUMNS,
    METHODS,
    PUBLISHED_COLUMNS,
    ROW_COLUMNS,
    ROW_KEY,
    write_table,
)
from promise.analysis.report import KEPT, build
from promise.analysis.results import write_results


def measured(method: str, seed: int = 0, **values: Any) -> dict[str, Any]:
    base = dict.fromkeys(ROW_COLUMNS) | {"dataset": "shop", "seen": "keep", "half": "all", "split": "test"}
    return base | {"method": method, "seed": seed, "recall@10": 0.05, "flops_per_user": 1e6, "command": "c"} | values


def compared(**values: Any) -> dict[str, Any]:
    base = {"dataset": "shop", "seen": "keep", "half": "all", "split": "test", "metric": "recall@10", "users": 9}
    ends = {"difference": 0.01, "low": 0.005, "high": 0.02, "seed_min": 0.01, "seed_max": 0.01, "seeds": 1}
    return base | {"method": "guided", "against": "plain"} | ends | values


def write(folder: Path, rows: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> None:
    write_table(rows, folder / "headline.csv", ROW_COLUMNS, ROW_KEY)
    write_table(comparisons, folder / "comparisons.csv", COMPARISON_COLUMNS, COMPARISON_KEY)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def part(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n")[1].split("\n## ")[0].strip()


def test_no_rows_at_all(tmp_path: Path) -> None:
    text = build(tmp_path)
    assert headings(text) == [
        "Results", "Where guided search does not win", "The methods", "Guided search against every method", "Goals",
        "Halves of the users", "Not run yet",
    ]  # fmt: skip
    assert part(text, "Where guided search does not win").startswith("Nothing can be said yet")
    assert [line for line in part(text, "Not run yet").splitlines() if line.startswith("- ")] == [
        f"- {kept.title}: `promise {kept.words} split=test`" for kept in KEPT.values()
    ]


def test_tables_published_figures_and_halves_of_each_protocol(tmp_path: Path) -> None:
    rows = [measured(name, seed) for name in ("plain", "guided") for seed in (0, 1)]
    rows += [measured("plain", half=half) for half in ("above", "below")]
    rows += [measured("orm", seen="remove"), measured("sasrec", split="validation")]
    rows[0]["command"] = "promise evaluate search.width=30"
    write(tmp_path, rows, [compared(), compared(split="validation", against="sasrec")])
    figures = {"dataset": "shop", "seen": "keep", "method": "TIGER", "source": "a paper"}
    published = [
        dict.fromkeys(PUBLISHED_COLUMNS) | figures,
        dict.fromkeys(PUBLISHED_COLUMNS) | figures | {"dataset": "z"},
    ]
    write_table(published, tmp_path / "published.csv", PUBLISHED_COLUMNS, ("dataset",))
    goal = {"dataset": "shop", "seen": "keep", "method": "guided", "kind": "must", "recall@10": 0.05, "ndcg@10": 0.01}
    write_table([goal], tmp_path / "goals.csv", GOAL_COLUMNS, ("dataset",))
    text = build(tmp_path)
    assert headings(text)[6:9] == ["Shop, past items kept", "Shop, past items removed", "Z, past items kept"]
    kept, removed = part(text, "Shop, past items kept"), part(text, "Shop, past items removed")
    assert (
        kept.index("| `plain` | 2 |")
        < kept.index("Seeds 0 and 1, 9 users, W = 30.")
        < kept.index("| TIGER |")
        < kept.index("R@10 below")
    )
    assert "| `orm` | 1 |" in removed and "One seed (0)." in removed and "TIGER" not in removed
    every = part(text, "Guided search against every method")
    assert "sasrec" not in kept and "`sasrec`" not in every and "| `plain` | **+.0100**¹ |" in every
    assert "| TIGER |" not in part(text, "Where guided search does not win")
    assert "| Z | past items kept | TIGER |" not in text  # nothing of ours to hold it against
    assert part(text, "Goals").endswith("| .0500 | .0500 | .0100 | – | 2 | not run |")


def test_what_is_missing_is_told_with_its_command(tmp_path: Path) -> None:
    names = [name for name in METHODS if name != "sasrec"]
    full = [measured(name, seed, seen="remove") for name in METHODS for seed in range(3)]
    write(tmp_path, [*(measured(name, seed) for name in names for seed in range(3 - (name == "orm"))), *full], [])
    missing = part(build(tmp_path), "Not run yet").splitlines()
    line = "`promise sweep +sweeps=headline data=shop data.root=DIR split=test`"
    assert missing[:2] == [
        f"- Shop, past items kept: `sasrec`: {line}",
        f"- Shop, past items kept, fewer than 3 seeds: `orm` (2): {line}",
    ]
    assert missing[2].startswith("- Semantic drift: `promise evaluate analysis=drift data=shop ")
    assert "experiment=shop data.root=DIR" in build(tmp_path, ["shop"])
    assert missing[-1].startswith("The folder that a run names is added by `promise results add FOLDER`")


def test_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promise.analysis.report.KEPT", {})
    write(
        tmp_path,
        [measured(name, s, seen=seen) for name in METHODS for s in range(3) for seen in ("keep", "remove")],
        [],
    )
    assert part(build(tmp_path), "Not run yet") == "Nothing is missing."


def test_other_sweeps_are_sections_of_their_own(tmp_path: Path) -> None:
    point = {"data": "shop", "split": "test", "users": 9, "seed": 0, "seen": "keep", "search": "guided"}
    for name in ("weight-shop-test-0", "depth-shop-test-0", "depth-shop-test-1", "ablation-my-x"):
        write_results([point | {"recall@10": 0.1, "ndcg@10": 0.1, "status": "done"}], tmp_path / f"{name}.csv")
    text = build(tmp_path)
    assert headings(text)[6:9] == ["Weight λ of the reward", "Reward at some depths only", "Other ablations"]
    assert part(text, "Other ablations").startswith("`ablation-my-x.csv`")
    assert re.findall(r"^`(.+)`$", part(text, "Reward at some depths only"), re.MULTILINE) == [
        "depth-shop-test-0.csv", "depth-shop-test-1.csv"
    ]  # fmt: skip
    assert "Weight λ" not in part(text, "Not run yet")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [measured(name, seed) for name in METHODS for seed in (0, 1)]
    write(tmp_path / "a", rows, [compared(), compared(against="orm")])
    write(tmp_path / "b", rows[::-1], [compared(against="orm"), compared()])
    assert build(tmp_path / "a") == build(tmp_path / "b") == build(tmp_path / "a")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder of results: .*none"):
        build(tmp_path / "none")


@pytest.mark.parametrize("words", [*(kept.words for kept in KEPT.values()), "sweep +sweeps=headline"])
def test_its_commands_compose(words: str) -> None:
    from omegaconf import OmegaConf

    from promise.experiments.grid import expand

    _, *overrides = shlex.split(f"{words} data=amazon_beauty data.root=DIR split=test")
    cfg = configs.compose(overrides)
    for point in expand(OmegaConf.to_container(cfg.sweep.grids, resolve=True))[::5]:
        configs.compose([*overrides, *point])
    name = cfg.sweep.name or cfg.analysis
    assert name in KEPT or name in ("headline", "scaling")
