"""What the drift recorder finds of every user, against the evaluator, the searches themselves, and an oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
import torch
from polars.testing import assert_frame_equal

from promise.metrics.drift import prefix_hits
from promise.search.beams import Step
from promise.search.guided import GuidedSearch
from promise.tasks.drift import ABOVE_ALL, SEARCHES, DriftRecorder, OracleRewards, oracle_of
from promise.tasks.evaluation import RankingEvaluator

Record = Callable[..., tuple[pl.DataFrame, DriftRecorder]]
WIDTH = 3


def levels(record: pl.DataFrame, name: str) -> np.ndarray:
    """A column of every level (users, L), NaN where it is null."""
    return record.filter(pl.col("depth").is_not_null())[name].to_numpy().reshape(record["user"].n_unique(), -1)


def listed(record: pl.DataFrame, name: str) -> np.ndarray:
    """A column of the final lists (users,)."""
    return record.filter(pl.col("depth").is_null())[name].to_numpy()


@pytest.fixture
def search(world: Any) -> Callable[..., GuidedSearch]:
    """A guided search over the world's networks."""
    generator, reward = world.generator().eval(), world.reward().eval()

    def make(width: Any = WIDTH, expansion: float = 3, weight: Any = 1.0, **dials: Any) -> GuidedSearch:
        chosen = {"candidates": None, "temperature": 1.0, "rerank": False, **dials}
        offers = {"generator": generator, "reward": reward, "trie": world.trie}
        return GuidedSearch(width, expansion, weight=weight, **chosen, **offers)

    return make


@pytest.fixture
def record(world: Any, search: Callable[..., GuidedSearch], lightning: None) -> Record:
    """What is recorded of some guided search."""

    def run(**dials: Any) -> tuple[pl.DataFrame, DriftRecorder]:
        guided = search(**dials)
        offers = {"plain": search(dials.get("width", WIDTH), 1, 0.0), "generator": guided.generator}
        task = DriftRecorder(guided=guided, **offers, trie=world.trie)
        return world.result(task), task

    return run


DIALS: list[dict[str, Any]] = [
    {},
    {"width": [1, 2, 6], "expansion": 2.0, "weight": 0.4},
    {"rerank": True},
    {"shuffle_rewards": True, "width": 2},
    {"weight": [0.0, 1.0, 0.5]},
]


@pytest.mark.parametrize("dials", DIALS, ids=str)
def test_the_oracle_bounds_the_guided_search_user_by_user(record: Record, dials: dict[str, Any]) -> None:
    drift, _ = record(**dials)
    assert (levels(drift, "guided") <= levels(drift, "oracle")).all()
    assert (listed(drift, "guided") <= listed(drift, "oracle")).all()
    for name in SEARCHES:  # what is lost stays lost
        assert (np.diff(levels(drift, name).astype(int), axis=1) <= 0).all()
    assert (levels(drift, "oracle").sum(0) > levels(drift, "guided").sum(0)).any()


@pytest.mark.parametrize("dials", DIALS, ids=str)
def test_the_oracle_keeps_whatever_is_a_candidate_at_every_depth(world, search, record, dials):
    drift, task = record(**dials)
    oracle, rewards = oracle_of(search(**dials))
    steps: list[Step] = []
    oracle.observer = steps.append
    for batch in world.data().test_dataloader():
        rewards.true = task.items.nodes[batch.targets[:, 0]]
        steps.clear()
        oracle.rank(batch, 10)
        there = torch.ones(len(batch.users), dtype=torch.bool)
        for step in steps:
            there &= prefix_hits(step.nodes, rewards.true[:, step.depth])
            assert there.tolist() == levels(drift, "oracle")[batch.users.numpy(), step.depth - 1].tolist()


@pytest.mark.parametrize("dials", DIALS, ids=str)
def test_it_agrees_with_the_evaluator(world, search, record, dials):
    drift, _ = record(**dials)
    for name, ranker in (("guided", search(**dials)), ("plain", search(dials.get("width", WIDTH), 1, 0.0))):
        task = RankingEvaluator(10, ranker=ranker, item_count=30, trie=world.trie)
        found = world.result(task)
        assert drift["user"].unique(maintain_order=True).to_list() == found.users.tolist()
        assert levels(drift, name).mean(0).tolist() == pytest.approx(found.hrecall)
        assert listed(drift, name).tolist() == (found.ranks < 10).tolist()


@torch.no_grad()
def test_drift_is_a_slow_loop_over_codes(world: Any, lightning: None) -> None:
    generator = world.generator(dropout=0.0).eval()
    for weight in generator.parameters():
        weight += 0.4 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
    paths = world.codes.tolist()
    right = {"teacher_forced": [0, 0, 0], "free_running": [0, 0, 0]}
    for user in range(24):
        *past, target = world.histories.items[slice(*world.histories.offsets[user : user + 2])].tolist()
        states = generator.encode(torch.tensor([past]), torch.tensor([len(past)]))
        true = paths[target]
        for name, hits in right.items():
            free: list[int] = []
            for level in range(3):
                before = free if name == "free_running" else true[:level]
                path = [*before, 0, 0, 0][:3]  # what stands at `level` and later is not seen
                logits = generator.teacher_forced(states, torch.tensor([[len(past[-6:]) - 1]]), torch.tensor([[path]]))[
                    level
                ][0, 0]
                allowed = {p[level] for p in paths if p[:level] == before}
                best = max(allowed, key=lambda code, scores=logits: float(scores[code]))
                hits[level] += best == true[level]
                free.append(best)
    guided = world.ranker(generator, world.reward().eval())
    drift = world.result(DriftRecorder(guided=guided, plain=guided, generator=generator, trie=world.trie))
    for name, hits in right.items():
        assert levels(drift, name).sum(0).tolist() == hits
    assert right["teacher_forced"][0] == right["free_running"][0] and right["teacher_forced"] != right["free_running"]


def test_until_the_first_error_both_ways_of_decoding_are_one(world: Any, lightning: None) -> None:
    compared = 0
    for seed in range(4):  # networks that know nothing are seldom right
        generator = world.generator(seed=seed).eval()
        guided = world.ranker(generator, world.reward().eval())
        task = DriftRecorder(guided=guided, plain=guided, generator=generator, trie=world.trie)
        drift = world.result(task)
        before = np.cumprod(levels(drift, "free_running"), axis=1, dtype=bool)[:, :-1]
        assert (levels(drift, "teacher_forced")[:, 0] == levels(drift, "free_running")[:, 0]).all()
        assert (levels(drift, "teacher_forced")[:, 1:][before] == levels(drift, "free_running")[:, 1:][before]).all()
        compared += int(before.sum())
    assert compared > 10


def test_the_reward_alone_keeps_the_first_w(record: Record) -> None:
    drift, task = record()
    for depth in range(3):
        ranks = levels(drift, "reward_rank")[:, depth]
        assert (np.isnan(ranks) == ~levels(drift, "proposed")[:, depth]).all()
        assert ((ranks <= WIDTH) == levels(drift, "guided")[:, depth]).all()
        assert ((ranks == 1) == levels(drift, "reward_right")[:, depth])[~np.isnan(ranks)].all()
    assert [level.candidates for level in task.guided.levels] == [4, 9, 9]


def test_who_was_not_asked_says_nothing(record: Record) -> None:
    drift, _ = record(rerank=True)
    assert (
        np.isnan(levels(drift, "reward_rank")[:, :2]).all()
        and np.isnan(levels(drift, "reward_confidence")[:, :2]).all()
    )
    assert (
        not np.isnan(levels(drift, "reward_rank")[:, 2]).all()
        and not np.isnan(levels(drift, "likelihood_rank")[:, 0]).all()
    )


def test_parts_of_a_batch_change_nothing(record: Record) -> None:
    whole, _ = record()
    parts, task = record(max_bytes=1)
    assert task.guided.users_at_once == 1
    confidence = cs.ends_with("_confidence")
    assert_frame_equal(whole.drop(confidence), parts.drop(confidence))
    assert_frame_equal(whole.select(confidence), parts.select(confidence), rel_tol=1e-4)


def test_adaptive_candidates(world: Any, search: Callable[..., GuidedSearch], lightning: None) -> None:
    guided = search(adaptive="entropy", expansion=2.0)
    guided.calibrate(world.data().val_dataloader())
    task = DriftRecorder(guided=guided, plain=search(WIDTH, 1, 0.0), generator=guided.generator, trie=world.trie)
    drift = world.result(task)
    assert (levels(drift, "guided") <= levels(drift, "oracle")).all()
    assert guided.observer is None  # the search that was given stays as it is


def test_the_oracle_ranks_the_true_prefix_above_all(world: Any) -> None:
    reward = world.reward().eval()
    oracle = OracleRewards(reward)
    oracle.true = torch.tensor([[0, 1, 2, 3]])
    states = world.generator().eval().encode(torch.tensor([[1, 2]]), torch.tensor([2]))
    context = oracle.start(states)
    everything = oracle.score(context, 3, torch.arange(world.trie.nodes[3])[None])
    assert (everything == ABOVE_ALL).nonzero().tolist() == [[0, 3]]
    assert (oracle.flops, oracle.path_bytes) == (reward.flops, reward.path_bytes)
    assert oracle.start(states).select_users([0]).true.tolist() == [[0, 1, 2, 3]]


def test_a_plain_search_is_refused(world: Any, search: Callable[..., GuidedSearch]) -> None:
    plain = search(weight=0.0)
    with pytest.raises(ValueError, match=r"^drift needs a guided search whose reward model acts, got a plain one$"):
        DriftRecorder(guided=plain, plain=plain, generator=plain.generator, trie=world.trie)
