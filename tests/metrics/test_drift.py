"""Hits per level against plain Python."""

import numpy as np
import pytest
import torch

from promise.metrics.drift import prefix_hits


@pytest.mark.parametrize("seed", range(5))
def test_hits_equal_plain_python(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept, true = rng.integers(-1, 9, (40, 3)), rng.integers(-1, 9, 40)
    expected = [bool(node >= 0 and node in row) for row, node in zip(kept.tolist(), true.tolist(), strict=True)]
    assert prefix_hits(torch.from_numpy(kept), torch.from_numpy(true)).tolist() == expected


def test_no_paths_kept_is_no_hit() -> None:
    assert prefix_hits(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([0, 1])).tolist() == [False, False]


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"^kept must be \(B, W\) and true \(B,\), got \(3,\) and \(3,\)$"):
        prefix_hits(torch.zeros(3), torch.zeros(3))
