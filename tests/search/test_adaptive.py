"""Adaptive candidates: the measures by hand, and budgets that keep their average and depend on nobody else."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promise.ids.trie import Trie
from promise.search.adaptive import CERTAIN, Adaptive, Budget, entropy, margin, score_within, solved, within
from promise.search.options import Level
from promise.search.protocols import UserRows
from tests.search.strategies import NetworkWorld, networks, repeatable
from tests.search.toys import FEATURES, ToyRewards

LEVEL = Level(width=10, candidates=50, weight=1.0)
NONE = -math.inf


def logs(*rows: list[float]) -> torch.Tensor:
    """Log-probabilities of drafts, best first, of the given probabilities."""
    return torch.tensor(rows).log()


def users(count: int, seed: int = 0) -> torch.Tensor:
    """Uncertainties: many small ones, few large ones, some of 0."""
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(count, generator=random, dtype=torch.float64).exp()
    return values * (torch.rand(count, generator=random) > 0.1)


def adaptive(measure: str = "entropy", level: Level = LEVEL, cap: float = 4.0) -> Adaptive:
    return Adaptive(measure, cap, [level])


def budget(values: torch.Tensor, level: Level = LEVEL, cap: float = 4.0) -> Budget:
    """What a level gives after a calibration on these users."""
    return solved(level.width, level.candidates, int(cap * level.candidates), values)


# The measures.


def test_entropy_by_hand() -> None:
    found = entropy(logs([0.25] * 4, [0.5, 0.5, 0.0, 0.0], [0.3, 0.0, 0.0, 0.0], [0.0] * 4, [0.04, 0.03, 0.03, 0.0]))
    mixture = -(0.4 * math.log(0.4) + 0.6 * math.log(0.3))  # the drafts hold a tenth of all probability
    assert found.tolist() == pytest.approx([math.log(4), math.log(2), 0.0, 0.0, mixture])
    assert found.dtype == torch.float64 and entropy(torch.tensor([[0.0, -1e30]])).tolist() == [0.0]


def test_margin_by_hand() -> None:
    drafts = torch.tensor(
        [
            [-1.0, -2.0, -2.5, -4.0, -9.0],  # W = 2 and C = 4: the gap is 2
            [-1.0, -2.0, -2.0, -2.0, -9.0],  # nothing separates them
            [-1.0, -2.0, -3.0, NONE, NONE],  # the third is the last
            [-1.0, -2.0, NONE, NONE, NONE],  # all are kept anyway
            [NONE] * 5,
        ]
    )
    assert margin(drafts, 2, 4).tolist() == pytest.approx([1 / 3, 1.0, 1 / 2, 0.0, 0.0])
    assert margin(drafts[:, :1], 2, 4).tolist() == [0.0] * 5  # fewer drafts than beams


@pytest.mark.parametrize("measure", ["entropy", "margin"])
def test_flat_likelihoods_are_more_uncertain_than_steep_ones(measure: str) -> None:
    slopes = torch.tensor([0.0, 0.01, 0.1, 1.0, 10.0])
    drafts = -slopes[:, None] * torch.arange(200)
    found = adaptive(measure).uncertainty(LEVEL, drafts)
    assert (found.diff() < 0).all() and (found >= 0).all()
    torch.testing.assert_close(adaptive(measure).uncertainty(LEVEL, drafts - 7), found, atol=1e-5, rtol=1e-5)


# Budgets.


@settings(repeatable, max_examples=100)
@given(
    st.lists(st.floats(0, 1e3) | st.sampled_from([0.0, 1.0, 1e-9, 1e-12, 5e-324]), min_size=1, max_size=60),
    st.integers(1, 30),
    st.integers(0, 100),
    st.integers(0, 400),
)
def test_the_average_is_met_within_rounding(values: list[float], width: int, extra: int, spare: int) -> None:
    candidates = width + extra
    most = candidates + spare
    uncertainty = torch.tensor(values, dtype=torch.float64)
    given = solved(width, candidates, most, uncertainty).of(uncertainty)
    mean = given.double().mean()
    all_have_most = bool((given[uncertainty > CERTAIN] == most).all())
    assert mean <= candidates and (mean > candidates - 1 or all_have_most)
    assert given.dtype == torch.int64 and (given >= width).all() and (given <= most).all()


def test_certain_users_get_the_width_and_equal_users_the_same() -> None:
    assert budget(users(500)).of(torch.tensor([0.0, 1e-13, math.nan])).tolist() == [10, 10, 10]
    assert budget(torch.full((9,), 1e-15)).of(torch.tensor([1e-15])).item() == 10
    assert budget(torch.zeros(9)).of(torch.tensor([0.0, 1.0])).tolist() == [10, 10]
    assert budget(torch.full((7,), 0.3)).of(torch.tensor([0.3])).tolist() == [50]


def test_budgets_grow_with_uncertainty_average_and_cap() -> None:
    values = users(400).sort().values
    means = []
    for candidates in (10, 11, 30, 50, 120):
        budgets = budget(values, Level(10, candidates, 1.0)).of(values)
        assert (budgets.diff() >= 0).all()
        means.append(budgets.double().mean().item())
    assert means == sorted(means) and means == pytest.approx([10, 11, 30, 50, 120], abs=1)
    assert [budget(values, cap=cap).of(values).max().item() for cap in (1, 1.5, 2, 4)] == [50, 75, 100, 200]
    assert (budget(values, cap=1).of(values) == torch.where(values > 0, 50, 10)).all()


def test_what_is_beyond_a_budget_is_no_draft() -> None:
    drafts = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -2.0, NONE]])
    assert within(drafts, torch.tensor([1, 3])).tolist() == [[-1.0, NONE, NONE], [-1.0, -2.0, NONE]]
    assert within(torch.tensor([[math.nan, -1.0]]), torch.tensor([1]))[0, 0].isnan()  # for the search to refuse


def test_a_calibration_needs_users_and_numbers() -> None:
    for bad in (torch.tensor([]), torch.tensor([1.0, math.nan]), torch.tensor([math.inf]), torch.tensor([-1.0])):
        with pytest.raises(ValueError, match=r"^uncertainties must be finite numbers >= 0 of at least one user, got "):
            solved(10, 50, 100, bad)


# In the search.


@pytest.fixture(scope="module", params=["dot", "cross_attention"])
def world(request: pytest.FixtureRequest) -> NetworkWorld:
    """Networks on 300 items, and 40 users."""
    sizes = (8, 8, 8)
    codes = np.stack(np.unravel_index(np.random.default_rng(0).permutation(512)[:300], sizes), 1)
    generator, reward = networks(Trie(codes, sizes), torch.from_numpy(codes), request.param, 0)
    random = torch.Generator().manual_seed(0)
    batch = UserRows(torch.randint(300, (40, 8), generator=random), torch.randint(1, 9, (40,), generator=random))
    return NetworkWorld(codes, sizes, batch, generator, reward)


@torch.inference_mode()
def test_users_are_scored_in_groups_up_to_their_budgets(world: NetworkWorld) -> None:
    context = world.reward.start(world.generator.encode(*world.batch))
    nodes = torch.arange(30).expand(40, -1)
    budgets = torch.arange(40) % 30 + 1
    rewards = score_within(world.reward, context, 3, nodes, budgets)
    everything = world.reward.score(context, 3, nodes)
    asked = torch.arange(30) < budgets[:, None]
    assert torch.allclose(rewards[asked], everything[asked], atol=1e-5)
    assert rewards.count_nonzero() < 0.7 * 40 * 30


def test_a_context_that_cannot_select_users_scores_all_drafts() -> None:
    reward = ToyRewards([torch.randn(30, FEATURES)])
    nodes, context = torch.arange(30).expand(4, -1), torch.randn(4, FEATURES)
    rewards = score_within(reward, context, 0, nodes, torch.ones(4))
    assert torch.equal(rewards, reward.score(context, 0, nodes))


@pytest.mark.parametrize("measure", ["entropy", "margin"])
def test_an_adaptive_search_keeps_its_average_and_no_user_depends_on_another(world: NetworkWorld, measure: str) -> None:
    dials: dict[str, Any] = {"expansion": 4, "weight": 1.0, "adaptive": measure}
    search, flat = world.guided(5, **dials), world.guided(5, expansion=4, weight=1.0)
    search.calibrate([world.batch])
    assert sorted(search.judge.adaptive.budgets) in ([1, 2, 3], [2, 3])
    whole = search.rank(world.batch, 5)
    flat_paths = flat.rank(world.batch, 5).cost.prm_paths
    assert 0.5 * flat_paths < whole.cost.prm_paths < 1.5 * flat_paths
    for row in range(0, 40, 13):
        alone = search.rank(UserRows(world.batch.history[row : row + 1], world.batch.lengths[row : row + 1]), 5)
        assert alone.items.tolist() == whole.items[row : row + 1].tolist()
    parts = [UserRows(*(part[row : row + 1] for part in world.batch)) for row in range(40)]
    paths = sum(search.rank(part, 5).cost.prm_paths for part in parts)
    assert paths == pytest.approx(whole.cost.prm_paths, rel=0.005)  # entropies differ in last digits


def test_a_cap_of_one_is_the_search_that_does_not_adapt(world: NetworkWorld) -> None:
    search = world.guided(5, expansion=4, weight=1.0, adaptive="entropy", adaptive_cap=1.0)
    flat = world.guided(5, expansion=4, weight=1.0).rank(world.batch, 5)
    search.calibrate([world.batch])
    budgets = search.judge.adaptive.budgets
    assert all(found.most == search.levels[depth - 1].candidates for depth, found in budgets.items())
    budgets |= {depth: Budget(found.most, found.most, found.most, 0.0) for depth, found in budgets.items()}
    assert torch.equal(search.rank(world.batch, 5).items, flat.items)


def test_a_search_that_was_not_calibrated_says_so(world: NetworkWorld) -> None:
    with pytest.raises(ValueError, match=r"^adaptive candidates need a calibration of level 1 first$"):
        world.guided(2, expansion=4, weight=1.0, adaptive="margin").rank(world.batch, 2)
    with pytest.raises(ValueError, match=r"^search\.adaptive=none has nothing to calibrate$"):
        world.guided(2).calibrate([world.batch])


def test_a_calibration_that_ends_early_leaves_nothing_behind(world: NetworkWorld) -> None:
    search = world.guided(5, expansion=4, weight=1.0, adaptive="entropy")
    with pytest.raises(ValueError, match=r"^a calibration needs at least one user, got none$"):
        search.calibrate([])

    def broken() -> Iterator[UserRows]:
        yield world.batch
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        search.calibrate(broken())
    assert search.judge.adaptive.seen is None and search.observer is None
