"""A trace of one user against the searches themselves and the drift recorder; and whom it is shown for."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows
from promise.tasks.drift import Drift, DriftRecorder
from promise.tasks.trace import LevelTrace, rescued_user, traced, true_log_probs

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
        trace = traced(alone(batch, row), int(batch.targets[row, 0]), guided, plain, guided.generator)
        for level in trace.levels:
            for name in ("plain", "guided"):
                assert getattr(level, name)[level.target].any() == drift.kept[name][user, level.depth - 1]
            place = level.place(level.rewards)
            assert (place is None) == (not drift.proposed[user, level.depth - 1])
            assert place is None or place == drift.ranks["reward"][user, level.depth - 1]
        for name in ("plain", "guided"):
            assert (trace.target in getattr(trace, name)) == drift.listed[name][user]


def test_its_prefixes_are_those_that_were_met(searches: tuple[GuidedSearch, GuidedSearch], batch: Any) -> None:
    guided, plain = searches
    trace = traced(alone(batch, 0), 5, guided, plain, guided.generator)
    assert guided.observer is None and plain.observer is None
    assert [level.depth for level in trace.levels] == [1, 2, 3]
    kept = {"guided": guided.rank(alone(batch, 0), 10).kept, "plain": plain.rank(alone(batch, 0), 10).kept}
    for level in trace.levels:
        assert (np.diff(level.nodes) > 0).all() and level.target.sum() == 1
        assert np.isfinite(level.log_probs).all() and np.isfinite(level.rewards).all()
        for name, nodes in kept.items():
            assert sorted(nodes[level.depth - 1][0].tolist()) == level.nodes[getattr(level, name)].tolist()
        cut = np.sort(level.rewards[level.candidates])[-WIDTH:]
        assert np.sort(level.rewards[level.guided]).tolist() == pytest.approx(cut.tolist())
    for name in kept:
        assert trace.__dict__[name].tolist() == searches[name == "plain"].rank(alone(batch, 0), 10).items[0].tolist()


def test_log_probabilities_of_the_true_prefixes_are_those_of_a_search_that_keeps_everything(
    world: Any, searches: tuple[GuidedSearch, GuidedSearch], batch: Any
) -> None:
    guided = searches[0]
    everything = GuidedSearch(30, 1, None, 0.0, 1.0, generator=guided.generator, reward=None,
                              trie=world.trie)  # fmt: skip
    items = traced(alone(batch, 0), 5, guided, everything, guided.generator)
    for target in (0, 5, 29):
        trace = traced(alone(batch, 0), target, guided, everything, guided.generator)
        targets = world.task("generator").items
        known = true_log_probs(guided.generator, alone(batch, 0), torch.tensor([target]), targets, world.trie)[0]
        for level, value in zip(trace.levels, known.tolist(), strict=True):
            assert level.plain.all() and level.log_probs[level.target] == pytest.approx(value, abs=1e-5)
    last = items.levels[-1]
    assert np.exp(last.log_probs).sum() == pytest.approx(1.0, abs=1e-5)


def test_a_place_among_the_candidates() -> None:
    yes, no = np.array([True, True, True, False]), np.array([False, True, False, False])
    level = LevelTrace(1, np.arange(4), np.zeros(4), np.zeros(4), yes, yes, yes, no)
    assert level.place(np.array([3.0, 2.0, 1.0, 9.0])) == 2
    assert level._replace(target=~yes).place(np.zeros(4)) is None


def test_wrong_input(searches: tuple[GuidedSearch, GuidedSearch], batch: Any) -> None:
    guided, plain = searches
    with pytest.raises(ValueError, match=r"^a trace is of one user, got 24$"):
        traced(batch, 0, guided, plain, guided.generator)
    bare = GuidedSearch(3, 1, None, 0.0, 1.0, generator=guided.generator, reward=None, trie=guided.trie)
    with pytest.raises(ValueError, match=r"^a trace needs a search with a reward model, got a plain one$"):
        traced(alone(batch, 0), 0, bare, plain, guided.generator)


def drift(plain: list[list[int]], listed: list[int], places: list[float]) -> Drift:
    """Users 10, 11, ...: what the plain beam keeps at three levels, whom guided search lists, the last place."""
    users = len(listed)
    none = np.zeros((users, 3), dtype=bool)
    return Drift(
        np.arange(10, 10 + users),
        none,
        none,
        none,
        kept={"plain": np.array(plain, dtype=bool)},
        listed={"guided": np.array(listed, dtype=bool)},
        ranks={"reward": np.array([[1.0, 1.0, place] for place in places])},
    )


def test_whom_a_trace_is_shown_for() -> None:
    kept = [[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 3, 2, 1])) == 13  # lost at level 2, and the best of those
    assert rescued_user(drift(kept, [1, 1, 1, 1, 1], [1, 1, 2, 2, 1])) == 12  # the first of equal ones
    assert rescued_user(drift(kept, [1, 1, 0, 0, 1], [1, 1, 2, 2, 9])) == 14  # rather at level 3 than at level 1
    assert rescued_user(drift(kept[:2], [1, 1], [1, 5])) == 11
    with pytest.raises(ValueError, match=r"^of 2 users guided search lists no target that the plain beam loses$"):
        rescued_user(drift(kept[:2], [1, 0], [1, 1]))
