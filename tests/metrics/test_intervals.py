"""Bootstrap intervals against naive resampling of users, and against the normal approximation."""

import numpy as np
import pytest

from promise.metrics.intervals import mean_interval, paired_interval


def naive(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of users drawn one by one with replacement."""
    rng = np.random.default_rng(seed)
    return np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)])


@pytest.mark.parametrize("kind", ["hits", "gains", "distinct"])
def test_equals_naive_resampling(kind: str) -> None:
    rng = np.random.default_rng(0)
    values = {
        "hits": (rng.random(300) < 0.1).astype(float),
        "gains": np.where(rng.random(300) < 0.2, 1 / np.log2(rng.integers(2, 12, 300)), 0.0),
        "distinct": rng.normal(size=300),
    }[kind]
    expected = np.quantile(naive(values, 20_000, 1), [0.025, 0.975])
    interval = mean_interval(values, resamples=20_000, seed=2)
    assert interval.mean == pytest.approx(values.mean())
    np.testing.assert_allclose([interval.low, interval.high], expected, atol=0.04 * np.ptp(expected))


def test_repeats_for_a_seed_and_forgets_the_order_of_users() -> None:
    values = np.random.default_rng(5).random(50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)
    turned = mean_interval(values[::-1], seed=1)
    assert (turned.low, turned.high) == pytest.approx(
        (mean_interval(values, seed=1).low, mean_interval(values, seed=1).high)
    )


@pytest.mark.parametrize("distinct", [2, 300])
def test_chunks_do_not_change_the_result(distinct: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(6).integers(0, distinct, 60)
    whole = mean_interval(values, resamples=100)
    monkeypatch.setattr("promise.metrics.intervals.CELLS_AT_ONCE", 100)
    assert mean_interval(values, resamples=100) == whole


@pytest.mark.parametrize("values", [[0.3], [0.1] * 7, [1, 1, 1], [False, False]])
def test_one_user_and_constant_values_have_no_width(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval.low == interval.mean == interval.high == pytest.approx(float(values[0]))


def test_paired_is_the_mean_of_differences() -> None:
    rng = np.random.default_rng(7)
    b = (rng.random(400) < 0.3).astype(float)
    a = np.maximum(b, rng.random(400) < 0.1)
    assert paired_interval(a, b, seed=3) == mean_interval(a - b, seed=3)
    assert paired_interval(a, b).low > 0
    # Pairing is what makes it sharp: the two means' own intervals overlap.
    assert mean_interval(a).low < mean_interval(b).high


def test_seeds_are_averaged_within_a_user_first() -> None:
    values = np.random.default_rng(8).random((3, 60))
    interval, flat = mean_interval(values), mean_interval(values.mean(axis=0))
    assert (interval.mean, interval.low, interval.high) == (flat.mean, flat.low, flat.high)
    np.testing.assert_allclose(interval.seed_means, values.mean(axis=1))
    assert len(paired_interval(values, values[::-1]).seed_means) == 3


def test_counting_and_drawing_users_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.where(np.random.default_rng(10).random(400) < 0.2, 0.5, 0.0)
    counted = mean_interval(values, resamples=20_000)
    monkeypatch.setattr("promise.metrics.intervals.MULTINOMIAL_COST", 10**9)
    drawn = mean_interval(values, resamples=20_000)
    assert (drawn.low, drawn.high) == pytest.approx((counted.low, counted.high), abs=0.002)
