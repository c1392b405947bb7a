"""Which points of a sweep make a curve, and that its laws are rows, files and a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.analysis.laws.bootstrap import resampled
from promise.analysis.laws.fit import fit_law
from promise.analysis.laws.forms import Law
from promise.experiments.findings import Measured
from promise.experiments.laws import LAWS_COLUMNS, groups, law_rows, laws_of, table_rows, write_laws
from promise.metrics.ranking import NOT_RANKED, ndcg_values, recall_values

CS = (20, 30, 40, 80, 160, 400)
USERS = 3000


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promise.experiments.laws.RESAMPLES", 40)


def ranks_of(candidates: float, seed: int = 0) -> np.ndarray:
    """Ranks of users who are hit from their own level on: recall@10 is about 0.3 − 0.1·(C / 20)^−1."""
    rng = np.random.default_rng(7)
    own, fresh = rng.random(USERS), np.random.default_rng([int(candidates), seed]).random(USERS)
    level = np.where(np.random.default_rng([1, int(candidates), seed]).random(USERS) < 0.1, fresh, own)
    hit = level < 0.3 - 0.1 * (candidates / 20) ** -1.0
    return np.where(hit, (own * 1000).astype(np.int64) % 10, NOT_RANKED)


def point(candidates: Any, seed: int = 0, width: Any = 20, kept: Any = None, **more: Any) -> Measured:
    ranks = ranks_of(candidates if isinstance(candidates, int) else 20, seed)
    row = {
        "data": "shop", "split": "validation", "users": USERS, "seed": seed, "seen": "keep", "search": "guided",
        "generator": "small", "reward": "dot", "training": "joint", "networks": f"sha256:{seed}",
        "search.width": width, "search.candidates": candidates, "search.weight": 1.0, "search.control": "none",
        "search.expansion": 1.0, "recall@10": float(recall_values(ranks, 10).mean()),
        "ndcg@10": float(ndcg_values(ranks, 10).mean()), "flops_per_user": 1e6, "hrecall@1": 0.9, "hrecall@2": 0.5,
    }  # fmt: skip
    return Measured(row | {name.replace("search_", "search."): value for name, value in more.items()}, ranks, kept)


def curve(cs: tuple[int, ...] = CS, **more: Any) -> list[Measured]:
    return [point(c, **more) for c in cs]


def lengths(points: list[Measured]) -> list[int]:
    return [len(group.points) for group in groups(points)]


def test_a_curve_over_c_is_a_group_in_rising_order() -> None:
    (group,) = groups([*curve()[::-1], point([20, 40])])  # candidates per level are on no curve
    assert tuple(group.points) == CS and group.seeds == (0,)
    for metric, values in (("recall@10", recall_values), ("ndcg@10", ndcg_values)):
        found = group.values(metric)
        assert found is not None
        np.testing.assert_array_equal(found[2], values(ranks_of(40), 10))
    assert group.values("hrecall@1") is None
    assert lengths(curve(CS[:4])) == []


@pytest.mark.parametrize(
    "other",
    [{"width": 10}, {"search_weight": 0.5}, {"reward": "cross_attention"}, {"generator": "base"}, {"seen": "remove"},
     {"split": "test"}, {"search_adaptive": "entropy"}, {"search_temperature": 2.0}, {"further": "ids.codes=64"}],
)  # fmt: skip
def test_points_that_differ_in_more_than_c_are_groups_of_their_own(other: dict[str, Any]) -> None:
    assert lengths([*curve(), *curve(CS[:5], **other)]) == [6, 5]
    assert lengths([*curve(CS[:3]), *curve(CS[3:], **other)]) == []


@pytest.mark.parametrize("other", [{"search_control": "shuffled"}, {"search": "plain"}, {"reward": None}])
def test_what_has_no_scaling_law(other: dict[str, Any]) -> None:
    assert lengths(curve(**other)) == []


def test_seeds_are_averaged_over_the_c_that_all_have() -> None:
    (group,) = groups([*curve(), *curve(CS[:5], seed=1)])
    assert group.seeds == (0, 1) and tuple(group.points) == CS[:5]
    mean = (recall_values(ranks_of(30), 10) + recall_values(ranks_of(30, 1), 10)) / 2
    np.testing.assert_array_equal(group.values("recall@10")[1], mean)  # type: ignore[index]
    assert group.places("flops_per_user") == [1e6] * 5


def test_laws_of_every_metric_and_axis() -> None:
    found = laws_of(curve())
    assert [(of.metric, of.along) for of in found] == [("recall@10", "candidates"), ("ndcg@10", "candidates")]
    values = np.stack([recall_values(ranks_of(c), 10) for c in CS])
    assert found[0].comparison.fits[0] == fit_law(resampled(CS, values, 40), Law.SATURATING_POWER)
    # Dearer with C, beams of fewer than 10, and the prefixes that are kept of every user.
    hits = [recall_values(ranks_of(c), 10) > 0 for c in CS]
    levels = [np.stack([np.ones(USERS, bool), hit], axis=1) for hit in hits]
    dearer = [point(c, flops_per_user=c * 1e6, kept=kept, **{"recall@10": None})
              for c, kept in zip(CS, levels, strict=True)]  # fmt: skip
    others = {(of.metric, of.along): of.comparison.fits for of in laws_of(dearer)}
    assert list(others) == [
        (metric, along)
        for metric in ("ndcg@10", "hrecall@1", "hrecall@2")
        for along in ("candidates", "flops_per_user")
    ]
    assert others["hrecall@2", "candidates"] == found[0].comparison.fits  # the same users
    assert laws_of([]) == []


def test_rows_table_and_files(tmp_path: Path) -> None:
    found = laws_of([*curve(), *curve(seed=1)])
    rows = law_rows(found)
    assert [(row["metric"], row["law"]) for row in rows] == [
        (metric, law)
        for metric in ("recall@10", "ndcg@10")
        for law in ("saturating power", "exponentiated power", "log-linear")
    ]
    power, line = rows[0], rows[2]
    assert power["a_low"] < 0.3 < power["a_high"] and power["c_low"] < 1 < power["c_high"]
    assert (power["held_out_x"], power["x0"], power["points"], power["seeds"]) == (400, 20, 6, "0 1")
    assert power["error"] == pytest.approx(power["predicted"] - power["observed"])
    assert line["c"] is None and power["reason"] is None and len({tuple(row) for row in rows}) == 1
    table = table_rows(found)
    assert len(table) == 6 and {len(row) for row in table} == {len(LAWS_COLUMNS)}
    assert table[0][:2] == ["recall@10 small, dot, W = 20, λ = 1, 2 seeds", "saturating power"]
    paths = write_laws(found, tmp_path / "new")
    assert set(paths) == {"laws", "law_figure", "law_figure_svg"}
    assert all(Path(path).is_file() for path in paths.values())
    assert pl.read_csv(paths["laws"])["a"][0] == power["a"]


def test_a_reason_has_no_numbers() -> None:
    flat = [Measured(point(c).row, ranks_of(20)) for c in CS]
    for row in law_rows(laws_of(flat)):
        assert row["reason"].startswith("a constant explains the points as well")
        assert {row[name] for name in ("a", "b", "c", "aicc", "predicted", "observed", "error_low")} == {None}
        assert row["preferred"] is False


def test_a_sweep_writes_its_laws(run: Callable[..., Any]) -> None:
    grids = "sweep.grids=[{search:guided,search.width:[10],search.expansion:[1,1.5,2,3,4]}]"
    answer = run("sweep", "sweep.name=laws", grids)
    assert "Scaling laws over C" in answer.out
    rows = pl.read_csv(answer.json["paths"]["laws"]).to_dicts()
    levels = [name for name in pl.read_csv(answer.json["paths"]["results"]).columns if name.startswith("hrecall@")]
    assert levels and {row["metric"] for row in rows} == {"recall@10", "ndcg@10", *levels}
    assert all((row["reason"] is None) != (row["a"] is None) for row in rows)
    assert answer.json["paths"]["law_figure"].endswith("law.png")
