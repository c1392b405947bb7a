"""Tests of what a reward model computes once per user."""

import torch

from promise.models.path_terms import PathVotes
from promise.models.reward_cache import RewardCache


def test_some_users_of_everything_that_is_there():
    votes = PathVotes([torch.arange(6).view(3, 2)], [torch.arange(6.0).view(3, 2)])
    rows = torch.tensor([2, 0])
    full = RewardCache(torch.arange(3.0), [(torch.arange(3), torch.arange(3) * 2)], torch.arange(3) > 0, votes)
    some = full.select_users(rows)
    assert some.queries.tolist() == [2, 0]
    assert [memory.tolist() for memory in some.memories[0]] == [[2, 0], [4, 0]]
    assert some.mask.tolist() == [True, False]
    assert some.votes.nodes[0].tolist() == [[4, 5], [0, 1]] == some.votes.terms[0].tolist()
    assert RewardCache(None, [], None, None).select_users(rows) == (None, [], None, None)
