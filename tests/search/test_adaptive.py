"""Adaptive candidates: the measures by hand, and budgets that keep their average and depend on nobody else."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from promise.search.adaptive import CERTAIN, Adaptive, Budget, entropy, margin, solved, within
from promise.search.dials import Level
from tests.search.strategies import repeatable

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


def calibrated(values: torch.Tensor, level: Level = LEVEL, cap: float = 4.0) -> Adaptive:
    adaptive = Adaptive("entropy", cap)
    adaptive.calibrate(1, level, adaptive.most(level), values)
    return adaptive


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
    found = Adaptive(measure, 4.0).uncertainty(LEVEL, drafts)
    assert (found.diff() < 0).all() and (found >= 0).all()
    torch.testing.assert_close(Adaptive(measure, 4.0).uncertainty(LEVEL, drafts - 7), found, atol=1e-5, rtol=1e-5)


# Budgets.


@settings(repeatable, max_examples=200)
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


def test_the_average_over_other_users_is_close() -> None:
    budgets = calibrated(users(5000)).budgets(1, users(5000, seed=1))
    assert abs(budgets.double().mean() - 50) < 2
    assert budgets.min() == 10 and budgets.max() == 200


def test_certain_users_get_the_width() -> None:
    adaptive = calibrated(users(500))
    assert adaptive.budgets(1, torch.tensor([0.0, 1e-13])).tolist() == [10, 10]
    assert calibrated(torch.full((9,), 1e-15)).budgets(1, torch.tensor([1e-15])).item() == 10
    assert calibrated(torch.zeros(9)).budgets(1, torch.tensor([0.0, 1.0])).tolist() == [10, 10]


def test_equal_users_get_equal_budgets() -> None:
    assert calibrated(torch.full((7,), 0.3)).budgets(1, torch.tensor([0.3])).tolist() == [50]


def test_budgets_grow_with_uncertainty_average_and_cap() -> None:
    values = users(400).sort().values
    means = []
    for candidates in (10, 11, 30, 50, 120):
        level = Level(10, candidates, 1.0)
        budgets = calibrated(values, level).budgets(1, values)
        assert (budgets.diff() >= 0).all()
        means.append(budgets.double().mean().item())
    assert means == sorted(means) and means == pytest.approx([10, 11, 30, 50, 120], abs=1)
    peaks = [calibrated(values, cap=cap).budgets(1, values).max().item() for cap in (1, 1.5, 2, 4)]
    assert peaks == [50, 75, 100, 200]
    assert (calibrated(values, cap=1).budgets(1, values) == torch.where(values > 0, 50, 10)).all()


def test_a_budget_does_not_depend_on_the_batch() -> None:
    adaptive, values = calibrated(users(300)), users(64, seed=2)
    whole = adaptive.budgets(1, values)
    assert torch.equal(torch.cat([adaptive.budgets(1, one) for one in values.split(1)]), whole)
    assert torch.equal(adaptive.budgets(1, values.flip(0)).flip(0), whole)
    drafts = torch.randn(8, 200, generator=torch.Generator().manual_seed(0)).sort(descending=True).values
    for measure in ("entropy", "margin"):
        found = Adaptive(measure, 4.0).uncertainty(LEVEL, drafts)
        alone = [Adaptive(measure, 4.0).uncertainty(LEVEL, one) for one in drafts.split(1)]
        torch.testing.assert_close(torch.cat(alone), found, atol=1e-12, rtol=1e-12)


def test_levels_have_scales_of_their_own() -> None:
    adaptive = Adaptive("margin", 2)
    adaptive.calibrate(1, LEVEL, 100, torch.tensor([1.0, 1.0]))
    adaptive.calibrate(3, LEVEL, 100, torch.tensor([0.5, 0.5]))
    assert adaptive.budgets(1, torch.tensor([0.5])).item() == 30 and adaptive.budgets(3, torch.tensor([0.5])) == 50


def test_a_small_catalogue_bounds_all() -> None:
    adaptive = Adaptive("entropy", 4.0)
    adaptive.calibrate(1, LEVEL, 7, users(20))  # seven drafts, and ten beams for them
    assert adaptive.calibrated[1] == Budget(7, 7, 7, 0.0)
    adaptive.calibrate(1, LEVEL, 30, users(20))  # fewer than the average that was asked for
    assert adaptive.calibrated[1].most == adaptive.calibrated[1].candidates == 30


def test_most_drafts() -> None:
    assert Adaptive("entropy", 4.0).most(LEVEL) == 200 and Adaptive("entropy", 1.25).most(LEVEL) == 62


def test_what_is_beyond_a_budget_is_no_draft() -> None:
    drafts = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, -2.0, NONE]])
    assert within(drafts, torch.tensor([1, 3])).tolist() == [[-1.0, NONE, NONE], [-1.0, -2.0, NONE]]


def test_nan_stays_within_the_width_for_the_search_to_refuse() -> None:
    adaptive = calibrated(users(50))
    drafts = torch.tensor([[math.nan] + [-1.0] * 199])
    budgets = adaptive.budgets(1, adaptive.uncertainty(LEVEL, drafts))
    assert budgets.tolist() == [10] and within(drafts, budgets)[0, 0].isnan()


# Bad input.


@pytest.mark.parametrize(
    ("measure", "cap", "message"),
    [
        ("variance", 4.0, "search.adaptive must be none, entropy or margin, got variance"),
        ("entropy", 0.5, "search.adaptive_cap must be a number >= 1, got 0.5"),
        ("entropy", math.inf, "search.adaptive_cap must be a number >= 1, got inf"),
        ("margin", "wide", "search.adaptive_cap must be a number >= 1, got wide"),
    ],
)
def test_bad_dials_are_refused(measure: str, cap: float, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Adaptive(measure, cap)
    assert str(caught.value) == message


def test_a_calibration_needs_users_and_numbers() -> None:
    with pytest.raises(ValueError, match=r"^adaptive candidates need a calibration of level 2 first$"):
        calibrated(users(5)).budgets(2, users(5))
    for bad in (torch.tensor([]), torch.tensor([1.0, math.nan]), torch.tensor([math.inf]), torch.tensor([-1.0])):
        with pytest.raises(ValueError, match=r"^uncertainties must be finite numbers >= 0 of at least one user, got "):
            Adaptive("entropy", 2).calibrate(1, LEVEL, 100, bad)
