"""Ranking metrics against plain Python, torchmetrics' own classes and two halves of the data."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.retrieval import RetrievalNormalizedDCG, RetrievalRecall

from promise.metrics.ranking import NOT_RANKED, ndcg_values, recall_values, target_ranks

VALUES = {"recall": recall_values, "ndcg": ndcg_values}


def plain_rank(items: list[int], target: int) -> int:
    for place, item in enumerate(items):
        if item == target and target >= 0:
            return place
    return NOT_RANKED


def plain_value(name: str, rank: int, k: int) -> float:
    if rank >= k:
        return 0.0
    return {"recall": 1.0, "ndcg": 1 / math.log2(rank + 2)}[name]


def random_lists(seed: int, users: int = 50, k: int = 8, items: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Distinct items per list, padded with -1 after a random length."""
    rng = np.random.default_rng(seed)
    lists = np.argsort(rng.random((users, items)), axis=1)[:, :k]
    lists[np.arange(k) >= rng.integers(0, k + 1, (users, 1))] = -1
    return torch.from_numpy(lists), torch.from_numpy(rng.integers(0, items, users))


@pytest.mark.parametrize("seed", range(5))
def test_ranks_equal_plain_python(seed: int) -> None:
    items, targets = random_lists(seed)
    targets[:5] = -1  # no target: the padding must not be taken for it
    expected = [plain_rank(*pair) for pair in zip(items.tolist(), targets.tolist(), strict=True)]
    assert target_ranks(items, targets).tolist() == expected
    assert target_ranks(items.int(), targets.int()).dtype == torch.int64


def test_empty_lists_and_no_users() -> None:
    assert target_ranks(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([1, 2])).tolist() == [NOT_RANKED] * 2
    assert target_ranks(torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0)).shape == (0,)
    for values in VALUES.values():
        assert values(np.zeros(0, dtype=np.int64), 10).shape == (0,)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("k", [1, 3, 8, 100])
def test_values_equal_plain_python(name: str, k: int) -> None:
    items, targets = random_lists(k)
    ranks = target_ranks(items, targets).numpy()
    ranks.flags.writeable = False  # a memory-mapped file is read-only
    values = VALUES[name](ranks, k)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, [plain_value(name, rank, k) for rank in ranks.tolist()])


def test_equals_torchmetrics_retrieval() -> None:
    items, targets = random_lists(11, users=40, k=12, items=12)
    keep = (items == targets[:, None]).any(dim=1)  # their classes judge a query without target differently
    items, targets = items[keep], targets[keep]
    scores = torch.arange(12, 0, -1).float().expand(len(items), -1)
    queries = torch.arange(len(items))[:, None].expand(-1, 12)
    relevant = items == targets[:, None]
    ranks = target_ranks(items, targets)
    for ours, theirs in ((recall_values, RetrievalRecall(top_k=4)), (ndcg_values, RetrievalNormalizedDCG(top_k=4))):
        theirs.update(scores.flatten(), relevant.flatten(), queries.flatten())
        assert ours(ranks.numpy(), 4).mean() == pytest.approx(theirs.compute().item(), abs=1e-6)


def test_error_shapes() -> None:
    with pytest.raises(ValueError, match=r"^items must be \(B, k\) and targets \(B,\), got \(2, 3\) and \(3,\)$"):
        target_ranks(torch.zeros(2, 3), torch.zeros(3))
