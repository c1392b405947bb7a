"""Points: equal searches share a row, rows say what was searched, and predictions let anyone recompute the metrics."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.pipeline.points import Point
from promise.pipeline.predictions import write_predictions
from promise.pipeline.stages import Pipeline

PointOf = Callable[..., Point]
DIALS = [f"search.{name}" for name in ("width", "candidates", "expansion", "weight", "temperature", "control")]


@pytest.fixture(scope="module")
def point_of(pipeline_of: Callable[..., Any]) -> PointOf:
    """The point of some overrides."""

    def compose(*words: str) -> Point:
        pipeline = pipeline_of(*words)
        search = next((word.partition("=")[2] for word in words if word.startswith("search=")), "guided")
        choices = {"data": "s3rec", "search": search, "generator": "tiny", "reward": "dot", "training": "joint"}
        return Point(pipeline, pipeline.cfg.search, choices)

    return compose


def dials(point: Point) -> list[Any]:
    names = point.names()
    return [names["search"], *(names.get(name) for name in DIALS)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["search=plain"], ["search=guided", "search.weight=0"]),
        (["search=plain"], ["search=orm", "search.weight=0", "search.expansion=1", "search.temperature=3"]),
        (["search=guided"], ["search=orm", "search.rerank=false"]),
        (["search=guided"], ["search=last_level", "search.reward_levels=all"]),
        (["search=guided", "search.weight=0.5"], ["search=fusion", "search.fusion=null"]),
        (["search=fusion"], ["search=guided", "search.weight=0.5", "search.fusion=60", "search.temperature=3"]),
        (["search=second_scorer"], ["search=orm", "search.weight=0.5"]),
        (["search=guided"], ["search.width=[20,20,20,20]", "search.weight=[1,1,1,1]"]),
        (["search.expansion=2"], ["search.candidates=40"]),
        (["search=exhaustive"], ["search=exhaustive", "search.temperature=3"]),
        (["search=exhaustive"], ["search=exhaustive", "search.weight=1"]),
        (["search=pmi", "search.beta=1.0"], ["search=pmi", "search.beta=1"]),
        (["search.adaptive=entropy", "search.adaptive_cap=3.0"], ["search.adaptive=entropy", "search.adaptive_cap=3"]),
        (["search=guided"], ["search.max_bytes=1000000", "search.adaptive_cap=2"]),
        (["search=plain"], ["search=plain", "search.adaptive=entropy"]),
        (["evaluation.users=null"], ["evaluation.users=1000"]),
        (["search=popularity"], ["search=popularity", "generator.dim=8", "seed=1"]),
    ],
)
def test_equal_searches_share_a_row(point_of: PointOf, one: list[str], other: list[str]) -> None:
    first, second = point_of(*one), point_of(*other)
    assert first.key() == second.key()
    if "seed=1" not in other:
        assert first.names() == second.names()


@pytest.mark.parametrize(
    "words",
    [
        ["search.width=10"], ["search.expansion=2"], ["search.weight=0.5"], ["search=orm"], ["search=plain"],
        ["search=exhaustive"], ["search.shuffle_rewards=true"], ["split=test"], ["evaluation.users=30"],
        ["evaluation.remove_seen=true"], ["evaluation.precision=bf16-mixed"], ["seed=1"],
        ["search.adaptive=entropy"], ["search=best_of_n"],
    ],
)  # fmt: skip
def test_different_searches_do_not(point_of: PointOf, words: list[str]) -> None:
    assert point_of(*words).key() != point_of().key()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["search=plain", "search.width=10"], ["plain", 10, 10, 1.0, 0.0, None, None]),
        (["search.weight=0.5", "search.temperature=2"], ["guided", 20, 200, 10.0, 0.5, 2.0, "none"]),
        (["search=orm"], ["orm", 20, 200, 10.0, 1.0, 1.0, "none"]),
        (["search=last_level"], ["last_level", 20, 200, [1, 1, 1, 10], [0, 0, 0, 1], 1.0, "none"]),
        (["search=fusion"], ["fusion", 20, 200, 10.0, 0.5, 1.0, "none"]),
        (["search=pmi"], ["pmi", 20, None, 10, None, None, None]),
        (
            ["search.width=[10,8,6,5]", "search.expansion=2"],
            ["guided", [10, 8, 6, 5], [20, 16, 12, 10], 2.0, 1.0, 1.0, "none"],
        ),
        (["search=exhaustive", "search.weight=0.5"], ["exhaustive", None, None, None, 0.5, 1.0, None]),
        (["search=popularity"], ["popularity", None, None, None, None, None, None]),
    ],
)
def test_names(point_of: PointOf, words: list[str], expected: list[Any]) -> None:
    assert dials(point_of(*words)) == expected


@pytest.mark.parametrize("word", ["search.temperature=2", "search.samples=7", "seed=1"])
def test_every_dial_of_a_draw_acts(point_of: PointOf, word: str) -> None:
    assert point_of("search=best_of_n", word).key() != point_of("search=best_of_n").key()


def test_adaptive_candidates_are_calibrated_on_validation_users(point_of: PointOf) -> None:
    point = point_of("search.adaptive=entropy", "search.width=3", "split=test")
    row = point.result()[0].row
    assert (row["search.adaptive"], row["search.adaptive_cap"]) == ("entropy", 4.0)
    flat = point_of("search.width=3", "split=test").result()[0].row
    assert row["prm_paths_per_user"] == pytest.approx(flat["prm_paths_per_user"], rel=0.5)
    assert (
        point.key()
        != point_of("search.adaptive=entropy", "search.width=3", "split=test", "checkpoint_selection.users=9").key()
    )


def test_a_row_is_searched_for_once(point_of: PointOf) -> None:
    first, found = point_of("search.width=11").result()
    assert first.searched and found is not None
    again, nothing = point_of("search.width=11", "search.temperature=2").result()
    assert not again.searched and nothing is None
    assert again.row == first.row and again.path == first.path
    assert np.array_equal(again.ranks, first.ranks)
    assert first.kept is not None and again.kept is not None and np.array_equal(again.kept, first.kept)
    assert first.kept.mean(0).tolist() == [first.row[f"hrecall@{level + 1}"] for level in range(first.kept.shape[1])]
    assert json.loads(first.path.read_text()) == first.row
    assert not [path for path in first.path.parent.iterdir() if path.name.startswith(".")]
    kept, answers = point_of("search.width=11").result(keep_answers=True)
    assert not kept.searched and kept.row == first.row and answers is not None and len(answers.users) == 60


def test_deep_lists_are_measured_and_not_kept(point_of: PointOf) -> None:
    for search in ("exhaustive", "co_visit", "plain"):
        words = ["search.width=60"] if search == "plain" else ["split=test"]
        result, found = point_of(f"search={search}", "evaluation.users=41", *words).result()  # a point of no other test
        assert found is not None and found.items.shape[1] == 20
        row = result.row
        assert row["recall@20"] <= row["recall@50"] == (result.ranks < 50).mean()
        assert (row["recall@100"] is None) == (search == "plain") and ("recall_ceiling" in row) == (search == "plain")


def test_parameters_are_those_that_are_asked(point_of: PointOf) -> None:
    generator, reward = point_of().pipeline.networks
    sizes = [sum(p.numel() for p in network.parameters()) for network in (generator, reward)]
    assert point_of().parameters() == sum(sizes)
    assert point_of("search=plain").parameters() == sizes[0]
    assert point_of("search.weight=[0,0,0,1]").parameters() == sum(sizes)
    assert point_of("search=popularity").parameters() is None


@pytest.mark.parametrize("seen", ["keep", "remove"])
@pytest.mark.parametrize("search", ["guided", "exhaustive", "co_visit"])
def test_predictions_hold_every_metric(point_of: PointOf, world: Any, tmp_path: Path, search: str, seen: str) -> None:
    point = point_of(f"search={search}", f"evaluation.remove_seen={str(seen == 'remove').lower()}", "split=test")
    result, found = point.result(keep_answers=True)
    assert found is not None
    write_predictions(point, found, tmp_path / "new" / "folder" / "p.parquet")
    table = pl.read_parquet(tmp_path / "new" / "folder" / "p.parquet")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["p.parquet"]
    assert dict(table.schema) == {
        "user": pl.String, "target": pl.Int64, "items": pl.List(pl.Int64), "scores": pl.List(pl.Float32)
    }  # fmt: skip
    assert table["user"].to_list() == list(world.histories)
    gains: dict[str, list[float]] = {f"{m}@{k}": [] for m in ("recall", "ndcg") for k in (5, 10, 20)}
    for user, target, items, scores in table.iter_rows():
        history = world.histories[user]
        assert target == history[-1] and len(items) == len(scores) == len(set(items))
        assert scores == sorted(scores, reverse=True)
        if seen == "remove":
            assert not set(items) & set(history[:-1])
        for k in (5, 10, 20):
            hit = target in items[:k]
            gains[f"recall@{k}"].append(hit)
            gains[f"ndcg@{k}"].append(1 / np.log2(2 + items.index(target)) if hit else 0.0)
    for name, values in gains.items():
        assert result.row[name] == pytest.approx(np.mean(values), abs=1e-6)


def ids_file(path: Path, ids: list[int]) -> Path:
    path.write_text("\n".join(map(str, ids)))
    return path


@pytest.mark.parametrize("search", ["guided", "exhaustive", "co_visit"])
def test_only_permitted_items_are_returned(point_of: PointOf, tmp_path: Path, search: str) -> None:
    allowed, denied = [7 + 3 * i for i in range(30)], [7, 10, 13]
    words = [f"evaluation.allow={ids_file(tmp_path / 'a.txt', allowed)}", f"search={search}"]
    words.append(f"evaluation.deny={ids_file(tmp_path / 'd.txt', denied)}")
    point = point_of(*words)
    result, found = point.result()
    assert found is not None
    items = point.pipeline.interactions.items["id"].gather(found.items[found.items >= 0])
    assert len(items) and set(items) <= set(allowed) - set(denied)
    row = result.row
    assert row["allow"].startswith("sha256:") and row["deny"].startswith("sha256:") and row["allow"] != row["deny"]
    missing = (found.items >= 0).sum(1) < 20
    assert row["incomplete_users"] == missing.sum() and isinstance(row["incomplete_users"], int)
    assert point.result()[0].row == row


def test_users_with_too_few_items_are_counted(point_of: PointOf, tmp_path: Path) -> None:
    few = ids_file(tmp_path / "few.txt", [7, 10, 13])
    assert point_of(f"evaluation.allow={few}").result()[0].row["incomplete_users"] == 60
    assert point_of("search=popularity").result()[0].row["incomplete_users"] == 0
    assert point_of("search.width=7").result()[0].row["incomplete_users"] == 0  # measured up to 5, searched up to 7
    assert point_of("search.width=3", f"evaluation.allow={few}").result()[0].row["incomplete_users"] == 0


def test_the_key_holds_what_the_lists_say_and_not_where(point_of: PointOf, tmp_path: Path) -> None:
    one, same = ids_file(tmp_path / "one.txt", [7, 10]), ids_file(tmp_path / "same.txt", [10, 7, 7])
    other = ids_file(tmp_path / "other.txt", [7])
    keys = [point_of(f"evaluation.{name}={path}").key() for name in ("allow", "deny") for path in (one, same, other)]
    assert keys[0] == keys[1] != keys[2] and keys[3] == keys[4] != keys[5] and keys[0] != keys[3]
    assert point_of().key() not in keys and not {"allow", "deny"} & point_of().names().keys()


def test_unknown_items_and_rankers_without_lists_are_refused(point_of, tmp_path, monkeypatch):
    monkeypatch.setattr(Pipeline, "model", property(lambda self: pytest.fail("too late")))
    unknown = ids_file(tmp_path / "unknown.txt", [7, 8, 9])
    message = r"^evaluation\.deny names 2 of 3 items that the catalogue does not have, first 8$"
    with pytest.raises(ValueError, match=message):
        point_of(f"evaluation.deny={unknown}").result()
    point = point_of(f"evaluation.allow={ids_file(tmp_path / 'known.txt', [7])}")
    point.accepts.discard("allow")
    with pytest.raises(ValueError, match=r"^evaluation\.allow=.* means nothing to promise\.search"):
        point.result()


def test_a_failing_search_ends_its_run(point_of: PointOf, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []
    monkeypatch.setattr("promise.pipeline.points.finish", ended.append)
    point = point_of("search.width=12")
    point.dials["temperature"] = 0
    with pytest.raises(ValueError, match=r"search\.temperature must be a number > 0"):
        point.evaluate()
    assert len(ended) == 1


def test_trust_in_counts_changes_what_networks_say_and_no_baseline(point_of: PointOf) -> None:
    words = ("cooccurrence=counts", "cooccurrence.neighbours=3")
    plain, trusting = (point_of("search=plain", *words, f"cooccurrence.scale={scale}") for scale in (1, 50))
    first, second = plain.result()[0], trusting.result()[0]
    assert [each.row["cooccurrence.scale"] for each in (first, second)] == [1, 50]
    assert first.row["networks"] == second.row["networks"]  # nothing was trained again
    assert "cooccurrence.scale" not in plain.key()
    assert plain.key() | {"cooccurrence.scale": 50} == trusting.key()
    assert (first.ranks != second.ranks).any()
    assert point_of("search=popularity", "cooccurrence=counts", "cooccurrence.scale=50").trust == {}
