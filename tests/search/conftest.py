"""Worlds of the search's tests: a hundred random ones, and one whose answer is written out."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from promise.search.protocols import UserRows
from tests.search.toys import FEATURES, ToyCodes, ToyRewards
from tests.search.worlds import World, draw_world


@pytest.fixture(scope="session")
def worlds() -> list[World]:
    """A hundred random worlds."""
    return [draw_world(seed) for seed in range(100)]


@pytest.fixture(scope="session")
def drawn() -> World:
    """Four items whose probabilities and rewards are written out; one user, whose past is item 0.

    First code: 0 with .6, 1 with .4. Items A = (0, 0) .33, B = (0, 1) .27, C = (1, 0) .36, D = (1, 2) .04; the logits
    of the forbidden paths (0, 2) and (1, 1) are huge. Rewards: code 0: -1, code 1: 2; A 0, B 1, C -1, D 3.
    """

    def table(*rows: list[float]) -> Tensor:  # the user's features are 1, 0, 0, 0
        return torch.tensor(rows).unsqueeze(-1) * torch.tensor([1.0, 0, 0, 0])

    first = [math.log(0.6), math.log(0.4)]
    second = [[math.log(0.55), math.log(0.45), 9.0], [math.log(0.9), 9.0, math.log(0.1)]]
    return World(
        codes=np.array([[0, 0], [0, 1], [1, 0], [1, 2]]),
        sizes=(2, 3),
        batch=UserRows(torch.tensor([[0]]), torch.tensor([1])),
        generator=ToyCodes((2, 3), torch.eye(FEATURES)[[0, 0, 0, 0]], [table(first), table(*second)], history=5),
        reward=ToyRewards([table([0.0])[0], table([-1.0, 2.0])[0], table([0.0, 1.0, -1.0, 3.0])[0]]),
    )
