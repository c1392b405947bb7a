"""Tests of the terms that history items add to the paths above them."""

import pytest
import torch

from promise.models.overlap import (
    GAIN,
    HistoryOverlap,
    PathOverlap,
    add_terms,
    ages_of,
    ages_seen_from,
    narrowed,
    prefix_nodes,
    sum_at,
)
from promise.models.users import UserStates

LEVELS, HISTORY = 3, 7


def overlap_of(catalogue, seed: int = 0) -> PathOverlap:
    module = PathOverlap(HISTORY, prefix_nodes(catalogue.codes))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight += torch.randn(weight.shape, generator=random)
    return module


def by_hand(module: PathOverlap, trie, depth: int, node: int, seen: list[int]) -> float:
    """The sum over the history, newest last, by the words of the docstring."""
    total = 0.0
    for age, item in enumerate(reversed(seen)):
        own = trie.item_nodes(depth).tolist()
        if own[item] == node:
            total += float(module.overlap.ages[depth - 1, age] + module.overlap.share[depth - 1] / own.count(node))
    return GAIN * total


@pytest.fixture
def users() -> UserStates:
    lengths = torch.tensor([7, 3, 1, 5])
    items = torch.randint(30, (4, 7), generator=torch.Generator().manual_seed(2))
    states = torch.zeros(4, 7, 2)
    return UserStates(states, lengths, states[:, 0], None, items)


@torch.no_grad()
def test_every_path_gets_the_terms_of_the_items_below_it(catalogue, users):
    module = overlap_of(catalogue)
    terms = module.start(users)
    for depth in range(1, LEVELS + 1):
        count = catalogue.trie.nodes[depth]
        every = terms.added_to_all(depth, torch.zeros(4, count))
        paths = torch.cat((torch.arange(count), torch.tensor([-1]))).expand(4, -1)
        assert torch.allclose(terms.added(depth, paths, torch.zeros(4, count + 1))[:, :-1], every, atol=1e-5)
        assert not terms.added(depth, paths, torch.zeros(4, count + 1))[:, -1].any()  # no path, no term
        for row, (items, length) in enumerate(zip(users.items.tolist(), users.lengths.tolist(), strict=True)):
            for node in range(count):
                expected = by_hand(module, catalogue.trie, depth, node, items[:length])
                assert float(every[row, node]) == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("shared", [True, False])
def test_a_target_in_training_sees_the_items_up_to_its_position_only(shared, catalogue, users):
    module = overlap_of(catalogue)
    positions = torch.arange(HISTORY).expand(4, -1)
    for depth in range(1, LEVELS + 1):
        count = catalogue.trie.nodes[depth]
        positives = torch.full((4, HISTORY), depth % count)
        negatives = torch.randperm(count)[: max(1, count - 1)]
        given = negatives if shared else negatives.expand(4, HISTORY, -1)
        zeros = torch.zeros(4, HISTORY), torch.zeros(4, HISTORY, len(negatives))
        positive, negative = module.contrast(users, positions, depth, positives, given, *zeros)
        for row, items in enumerate(users.items.tolist()):
            for place in range(int(users.lengths[row])):
                seen = items[: place + 1]
                assert float(positive[row, place]) == pytest.approx(
                    by_hand(module, catalogue.trie, depth, depth % count, seen), abs=1e-4
                )
                for column, node in enumerate(negatives.tolist()):
                    expected = by_hand(module, catalogue.trie, depth, node, seen)
                    assert float(negative[row, place, column]) == pytest.approx(expected, abs=1e-4)


def test_it_starts_without_an_opinion(catalogue, users):
    module = PathOverlap(HISTORY, prefix_nodes(catalogue.codes))
    assert not any(terms.any() for terms in module.start(users).terms)


def test_it_learns_that_nobody_buys_twice(catalogue, users):
    module = PathOverlap(HISTORY, prefix_nodes(catalogue.codes))
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    items = users.items[:, :1]
    for _ in range(100):
        rewards = module.start(users).added_to_all(LEVELS, torch.zeros(4, 30))
        loss = rewards.softmax(1).gather(1, items).sum()  # the chance of what they had
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    rewards = module.start(users).added_to_all(LEVELS, torch.zeros(4, 30))
    assert (rewards.softmax(1).gather(1, items) < 1e-3).all()


def test_nodes_are_the_tries(catalogue):
    nodes = prefix_nodes(catalogue.codes)
    for depth in range(1, LEVELS + 1):
        assert torch.equal(nodes[:, depth - 1], catalogue.trie.item_nodes(depth))


def test_an_older_item_than_any_known_counts_as_the_oldest(catalogue):
    module = HistoryOverlap(3, item_nodes=prefix_nodes(catalogue.codes))
    with torch.no_grad():
        module.ages[0] = torch.tensor([1.0, 2.0, 3.0])
    terms = module.terms(1, torch.zeros(5, dtype=torch.int64), torch.tensor([-1, 0, 1, 2, 9]))
    assert torch.allclose(terms, GAIN * torch.tensor([0.0, 1, 2, 3, 3]))


def test_ages():
    assert ages_of(torch.tensor([3, 1]), 3).tolist() == [[2, 1, 0], [0, -1, -2]]
    assert ages_seen_from(torch.tensor([[0, 2]]), 3).tolist() == [[[0, -1, -2], [2, 1, 0]]]


def test_sums_by_hand():
    paths, nodes = torch.tensor([[4, 7, -1]]), torch.tensor([[7, 4, 7]])
    assert sum_at(paths, nodes, torch.tensor([[1.0, 10, 100]])).tolist() == [[10, 101, 0]]
    below = narrowed(torch.tensor([[[True, True, False]]]), torch.tensor([[5]]), torch.tensor([[5, 6, 5]]))
    assert below.tolist() == [[[True, False, False]]]
    logits = add_terms(torch.zeros(1, 1, 4), torch.tensor([[2, 0, 2]]), torch.tensor([[[1.0, 10, 100]]]))
    assert logits.tolist() == [[[10, 0, 101, 0]]]


def test_missing_nodes_are_refused(catalogue):
    for act in (lambda: PathOverlap.of(True, HISTORY, None), lambda: overlap_of(catalogue).move(None)):
        with pytest.raises(ValueError, match=r"reward.overlap=true needs the trie nodes of the items, got none"):
            act()
    assert PathOverlap.of(False, HISTORY, None) is None
