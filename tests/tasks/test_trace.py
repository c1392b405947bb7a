"""A trace of one user against the searches themselves and the drift recorder; and whom it is shown for."""

from typing import Any

import polars as pl
import pytest
import torch

from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows
from promise.tasks.drift import DriftRecorder
from promise.tasks.trace import rescued_user, traced, true_log_probs

WIDTH = 3


@pytest.fixture
def searches(world: Any) -> tuple[GuidedSearch, GuidedSearch]:
    """A guided search and a plain one of its width."""
    offers = {"generator": world.generator().eval(), "reward": world.reward().eval(), "trie": world.trie}
    return (GuidedSearch(WIDTH, 3, None, 1.0, 1.0, **offers), GuidedSearch(WIDTH, 1, None, 0.0, 1.0, **offers))


@pytest.fixture
def batch(world: Any) -> Any:
    (batch,) = world.data(evaluation_batch_size=100).test_dataloader()
    return batch


def alone(batch: Any, row: int) -> UserRows:
    return UserRows(batch.history[row : row + 1], batch.lengths[row : row + 1])


def test_it_is_what_the_drift_recorder_sees(
    world: Any, searches: tuple[GuidedSearch, GuidedSearch], batch: Any, lightning: None
) -> None:
    guided, plain = searches
    recorder = DriftRecorder(guided=guided, plain=plain, generator=guided.generator, trie=world.trie)
    drift = world.result(recorder)
    for row, user in enumerate(batch.users.tolist()):
        target = int(batch.targets[row, 0])
        prefixes, returned = traced(alone(batch, row), target, guided, plain, guided.generator)
        own = prefixes.filter("target")
        seen = drift.filter(pl.col("depth").is_not_null(), user=user)
        for name, column in (("plain", "plain"), ("guided", "guided"), ("candidate", "proposed")):
            assert own[name].to_list() == seen[column].to_list()
        (listed,) = drift.filter(pl.col("depth").is_null(), user=user).to_dicts()
        for name in ("plain", "guided"):
            assert (target in returned[name]) == listed[name]


def test_its_prefixes_are_those_that_were_met(searches: tuple[GuidedSearch, GuidedSearch], batch: Any) -> None:
    guided, plain = searches
    prefixes, returned = traced(alone(batch, 0), 5, guided, plain, guided.generator)
    assert guided.observer is None and plain.observer is None
    assert prefixes["level"].unique().sort().to_list() == [1, 2, 3]
    kept = {"guided": guided.rank(alone(batch, 0), 10).kept, "plain": plain.rank(alone(batch, 0), 10).kept}
    for (depth,), level in prefixes.group_by("level"):
        assert level["node"].is_sorted() and level["node"].is_unique().all() and level["target"].sum() == 1
        assert level["log_prob"].is_finite().all() and level["reward"].is_finite().all()
        for name, nodes in kept.items():
            assert sorted(nodes[depth - 1][0].tolist()) == level.filter(name)["node"].to_list()
        cut = level.filter("candidate")["reward"].top_k(WIDTH).sort()
        assert level.filter("guided")["reward"].sort().to_list() == pytest.approx(cut.to_list())
    for name, items in returned.items():
        assert items == searches[name == "plain"].rank(alone(batch, 0), 10).items[0].tolist()


def test_log_probabilities_of_the_true_prefixes_are_those_of_a_search_that_keeps_everything(
    world: Any, searches: tuple[GuidedSearch, GuidedSearch], batch: Any
) -> None:
    guided = searches[0]
    everything = GuidedSearch(30, 1, None, 0.0, 1.0, generator=guided.generator, reward=None,
                              trie=world.trie)  # fmt: skip
    for target in (0, 5, 29):
        prefixes, _ = traced(alone(batch, 0), target, guided, everything, guided.generator)
        targets = world.task("generator").items
        known = true_log_probs(guided.generator, alone(batch, 0), torch.tensor([target]), targets, world.trie)[0]
        assert prefixes["plain"].all()
        assert prefixes.filter("target")["log_prob"].to_list() == pytest.approx(known.tolist(), abs=1e-5)
    last = prefixes.filter(level=3)["log_prob"]
    assert last.exp().sum() == pytest.approx(1.0, abs=1e-5)


def test_wrong_input(searches: tuple[GuidedSearch, GuidedSearch], batch: Any) -> None:
    guided, plain = searches
    with pytest.raises(ValueError, match=r"^a trace is of one user, got 24$"):
        traced(batch, 0, guided, plain, guided.generator)
    bare = GuidedSearch(3, 1, None, 0.0, 1.0, generator=guided.generator, reward=None, trie=guided.trie)
    with pytest.raises(ValueError, match=r"^a trace needs a search with a reward model, got a plain one$"):
        traced(alone(batch, 0), 0, bare, plain, guided.generator)


def drift(plain: list[list[int]], listed: list[int], places: list[float]) -> pl.DataFrame:
    """Users 10, 11, ...: what the plain beam keeps at three levels, whom guided search lists, the last place."""
    rows: list[tuple[object, ...]] = []
    for user, (kept, found, place) in enumerate(zip(plain, listed, places, strict=False), 10):
        rows += [(user, depth, bool(hit), None, place) for depth, hit in enumerate(kept, 1)]
        rows.append((user, None, None, bool(found), None))
    return pl.DataFrame(rows, schema=["user", "depth", "plain", "guided", "reward_rank"], orient="row")


def test_whom_a_trace_is_shown_for() -> None:
    kept = [[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 3, 2, 1])) == 13  # lost at level 2, and the best of those
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 2, 2, 1])) == 12  # the first of equal ones
    assert rescued_user(drift(kept, [1, 1, 0, 0, 1], [1, 1, 2, 2, 9])) == 14  # rather at level 3 than at level 1
    assert rescued_user(drift(kept[:2], [1, 1], [1, 5])) == 11
    with pytest.raises(ValueError, match=r"^of 2 users guided search lists no target that the plain beam loses$"):
        rescued_user(drift(kept[:2], [1, 0], [1, 1]))
