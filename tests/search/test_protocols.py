"""Batches of users: cut into parts, and refused where nobody is in them."""

import pytest
import torch

from promise.search.protocols import UserRows, split


def test_a_batch_comes_in_parts_and_an_empty_one_is_refused() -> None:
    batch = UserRows(torch.arange(10).view(5, 2), torch.full((5,), 2))
    parts = list(split(batch, 2))
    assert [(rows.start, users.history.tolist()) for rows, users in parts] == [
        (0, [[0, 1], [2, 3]]), (2, [[4, 5], [6, 7]]), (4, [[8, 9]]),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"^a batch must hold at least one user, got 0$"):
        next(split(UserRows(batch.history[:0], batch.lengths[:0]), 2))
