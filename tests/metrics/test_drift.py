"""Hits per level against plain Python, and the two per-level metrics over batches."""

import numpy as np
import pytest
import torch

from promise.metrics.drift import LevelShares, prefix_hits


@pytest.mark.parametrize("seed", range(5))
def test_hits_equal_plain_python(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept, true = rng.integers(-1, 9, (40, 3)), rng.integers(-1, 9, 40)
    expected = [bool(node >= 0 and node in row) for row, node in zip(kept.tolist(), true.tolist(), strict=True)]
    assert prefix_hits(torch.from_numpy(kept), torch.from_numpy(true)).tolist() == expected


def test_no_paths_kept_is_no_hit() -> None:
    assert prefix_hits(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([0, 1])).tolist() == [False, False]


@pytest.mark.parametrize("seed", range(3))
def test_metrics_over_batches_equal_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, true = (torch.from_numpy(rng.integers(0, 4, (50, 3))) for _ in range(2))
    metric = LevelShares(3)
    for rows in torch.arange(50).split(8):
        metric.update((predicted == true)[rows])
    np.testing.assert_allclose(metric.compute().numpy(), (predicted == true).numpy().mean(axis=0))
    assert metric.users == 50 and all(reduction is not None for reduction in metric._reductions.values())


def test_no_users_is_nan_not_zero() -> None:
    metric = LevelShares(2)
    metric.update(torch.zeros(0, 2, dtype=torch.bool))
    assert torch.isnan(metric.compute()).all()


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"^levels must be >= 1, got 0$"):
        LevelShares(0)
    with pytest.raises(ValueError, match=r"^right must be \(B, 2\), got \(1, 3\)$"):
        LevelShares(2).update(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"^kept must be \(B, W\) and true \(B,\), got \(3,\) and \(3,\)$"):
        prefix_hits(torch.zeros(3), torch.zeros(3))
