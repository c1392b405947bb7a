"""Curves over resampled users: against a plain loop."""

import numpy as np
import pytest

from promise.analysis.laws.bootstrap import resampled


def hits(shares, users: int = 4000, seed: int = 0, shuffled: float = 0.0) -> np.ndarray:
    """(points, users) hits of users who are hit from their own level on; a part is drawn anew at every point."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)[:, None]
    own, fresh = rng.random(users), rng.random((len(shares), users))
    return (np.where(rng.random((len(shares), users)) < shuffled, fresh, own) < shares).astype(float)


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
