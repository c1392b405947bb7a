"""Curves over resampled users: against a plain loop; turning points are found where they are, and not in noise."""

import numpy as np
import pytest

from promise.analysis.laws.bootstrap import Estimate, LawCurve, TurningPoint, estimate, resampled, turning_point


def hits(shares, users: int = 4000, seed: int = 0, shuffled: float = 0.0) -> np.ndarray:
    """(points, users) hits of users who are hit from their own level on; a part is drawn anew at every point."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)[:, None]
    own, fresh = rng.random(users), rng.random((len(shares), users))
    return (np.where(rng.random((len(shares), users)) < shuffled, fresh, own) < shares).astype(float)


def turn_of(x, values, **more: int) -> TurningPoint | None:
    return turning_point(resampled(x, values, **more))


def test_a_curve_is_sorted_and_its_means_are_those_of_the_users() -> None:
    values = np.array([[1, 0, 0, 0], [1, 1, 1, 0]], dtype=float)
    curve = resampled([40, 20], values, resamples=50)
    assert (curve.x.tolist(), curve.means.tolist(), curve.users) == ([20, 40], [0.75, 0.25], 4)
    assert curve.draws.shape == (50, 2)


@pytest.mark.parametrize("kind", ["few distinct rows", "all distinct rows"])
def test_draws_are_those_of_a_plain_bootstrap(kind: str) -> None:
    values = hits([0.2, 0.25, 0.3], users=600, shuffled=0.3)
    if kind == "all distinct rows":
        values = values * np.random.default_rng(1).random(values.shape)
    draws = resampled([1, 2, 3], values, resamples=4000).draws
    rng, users = np.random.default_rng(2), values.shape[1]
    plain = np.array([values[:, rng.integers(0, users, users)].mean(axis=1) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), plain.mean(axis=0), rtol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(plain.T), rtol=0.2)


def test_a_resample_has_the_same_users_at_all_points() -> None:
    values = hits([0.2, 0.2, 0.4])
    curve = resampled([1, 2, 3], values, resamples=30)
    np.testing.assert_array_equal(curve.draws[:, 0], curve.draws[:, 1])
    assert (curve.draws[:, 2] > curve.draws[:, 1]).all()


def test_points_and_steps() -> None:
    curve = resampled([1, 2], hits([0.2, 0.22]), resamples=500)
    assert [point.value for point in curve.points] == pytest.approx(curve.means.tolist())
    alone, shared = curve.points[0], curve.steps[0]
    assert shared.value == pytest.approx(alone.value)
    # Users who are hit at both points move both: without them little is left.
    assert alone.low < shared.low < shared.value < shared.high < alone.high
    assert shared.high - shared.low < 0.5 * (alone.high - alone.low)


def test_estimate() -> None:
    found = estimate(0.5, np.arange(101) / 100)
    assert found == Estimate(0.5, pytest.approx(0.025), pytest.approx(0.975))
    assert [Estimate(1, low, high).excludes_zero for low, high in ((-1, 1), (0.1, 1), (-1, -0.1))] == [
        False, True, True,
    ]  # fmt: skip


def test_a_peak_is_found() -> None:
    found = turn_of([20, 40, 80, 160, 320], hits([0.2, 0.25, 0.3, 0.25, 0.2], shuffled=0.2))
    assert found is not None
    assert (found.best, found.x) == (80, 160)
    assert found.difference.low < found.difference.value < found.difference.high < 0


def test_curves_that_rise_or_stay_or_make_a_dip_good_have_none() -> None:
    assert turn_of([20, 40, 80, 160], hits([0.3, 0.2, 0.25, 0.3])) is None
    assert turn_of([20, 40, 80], hits([0.2, 0.25, 0.3])) is None
    assert turn_of([20, 40, 80], hits([0.2, 0.2, 0.2])) is None  # no user tells the points apart


def test_noise_has_a_turning_point_about_as_often_as_its_level_says() -> None:
    found = [
        turn_of([20, 40, 80, 160, 320, 640], hits([0.1] * 6, users=2000, seed=seed, shuffled=0.3), resamples=300)
        for seed in range(30)
    ]
    assert sum(turn is not None for turn in found) <= 3

    assert turning_point(LawCurve(np.ones(1), np.ones(1), np.ones((5, 1)), 3)) is None


@pytest.mark.parametrize(
    ("x", "values", "resamples", "message"),
    [
        ([1, 2], [[1.0, 0.0]], 9, r"x must be \(points,\) and values \(points, users\), got \(2,\) and \(1, 2\)"),
        ([1], [[]], 9, r"x must be \(points,\) and values \(points, users\), got \(1,\) and \(1, 0\)"),
        ([0, 1], [[1.0], [1.0]], 9, r"x must be > 0, finite and distinct, got \[0.0, 1.0\]"),
        ([1, 1], [[1.0], [1.0]], 9, r"x must be > 0, finite and distinct, got \[1.0, 1.0\]"),
        ([1, 2], [[1.0], [np.nan]], 9, r"values must be finite, got 1 NaN or infinite"),
        ([1], [[1.0]], 0, r"resamples must be >= 1, got 0"),
    ],
)
def test_errors(x, values, resamples: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        resampled(x, values, resamples)
