"""Tests of the wrong prefixes that the reward learns against."""

import pytest
import torch

from promise.tasks.negatives import (
    Near,
    Negatives,
    distinct_nodes,
    frequencies,
    hard_negatives,
    near_misses,
    own_negatives,
)


@pytest.mark.parametrize("size, count", [(2, 1), (5, 4), (5, 3), (40, 32), (40, 200)])
def test_own_negatives_are_other_nodes_each_counted_once(size, count):
    torch.manual_seed(0)
    positives = torch.arange(size).repeat(3, 1)  # (B, P), every node in turn
    nodes, absent = own_negatives(positives, size, count)
    assert nodes.shape == absent.shape == (3, size, min(count, size - 1))
    for positive, row, repeats in zip(
        positives.flatten().tolist(), nodes.flatten(0, 1).tolist(), absent.flatten(0, 1).tolist(), strict=True
    ):
        counted = [node for node, again in zip(row, repeats, strict=True) if not again]
        assert len(set(counted)) == len(counted)
        assert set(counted) == set(row)
        assert positive not in row
        assert min(row) >= 0 and max(row) < size
        if count >= size - 1:
            assert len(counted) == size - 1


def test_own_negatives_are_uniform():
    torch.manual_seed(0)
    nodes, _ = own_negatives(torch.full((2000, 1), 3), 10, 2)
    counts = nodes.flatten().bincount(minlength=10)
    assert counts[3] == 0
    others = counts[torch.arange(10) != 3]
    assert abs(others / others.sum() - 1 / 9).max() < 0.02


@pytest.mark.parametrize("size, count", [(1, 1), (10, 3), (10, 10), (2**20 + 5, 7), (2**20 + 5, 2**20 + 4)])
def test_shared_negatives_are_distinct_nodes(size, count):
    torch.manual_seed(0)
    nodes = distinct_nodes(size, count, torch.device("cpu"))
    assert nodes.shape == (count,)
    assert len(nodes.unique()) == count
    assert nodes.min() >= 0 and nodes.max() < size


def test_frequencies_are_the_counts_of_the_items_below_plus_one_each(world):
    counts = torch.arange(world.trie.items)
    for depth in range(1, world.trie.levels + 1):
        nodes = world.trie.item_nodes(depth).tolist()
        expected = [
            sum(item + 1 for item, node in enumerate(nodes) if node == n) for n in range(world.trie.nodes[depth])
        ]
        found = frequencies(world.trie, depth, counts)
        assert torch.allclose(found, torch.tensor(expected) / sum(expected))


def test_corrected_frequent_negatives_sum_to_the_whole_softmax_in_the_mean(world):
    counts = torch.arange(world.trie.items) ** 2
    plan = Negatives.of(world.reward("dot"), "popularity", 8, world.trie, counts)
    depth, size = world.trie.levels, world.trie.nodes[-1]
    logits = torch.randn(size, generator=torch.Generator().manual_seed(3))
    positive = torch.tensor([[5]])
    torch.manual_seed(0)
    sums = []
    for _ in range(4000):
        drawn = plan.draw(depth, positive, size)
        assert len(drawn.nodes.unique()) == len(drawn.nodes)
        kept = (logits[drawn.nodes] - drawn.log_expected).masked_fill(drawn.nodes == 5, -torch.inf)
        sums.append(kept.exp().sum())
    sums = torch.stack(sums)
    exact = logits.exp().sum() - logits[5].exp()
    assert abs(sums.mean() - exact) < 4 * sums.std() / len(sums) ** 0.5
    assert sums.std() / exact > 0.05  # they do differ from draw to draw


def test_frequent_negatives_without_counts_are_refused(world):
    with pytest.raises(ValueError, match=r"training.negatives=popularity needs the items' counts, got none"):
        Negatives.of(world.reward("dot"), "popularity", None, world.trie, None)


def near_of(world, depth, positive):
    """The generator's probabilities beside a positive, from random logits."""
    parents = world.trie.parent(depth, positive)
    logits = torch.randn(1, 1, world.trie.level_sizes[depth - 1], generator=torch.Generator().manual_seed(7))
    return near_misses(world.trie, depth, parents, logits)


def test_near_misses_are_the_softmax_over_the_children(world):
    for depth in range(1, world.trie.levels + 1):
        positive = torch.tensor([[world.trie.nodes[depth] - 1]])
        near = near_of(world, depth, positive)
        children = world.trie.children_of(depth - 1, near.parents[0, 0])
        assert float(near.probabilities.sum()) == pytest.approx(1)
        assert set(near.probabilities[0, 0].nonzero().flatten().tolist()) == set(
            children.codes[children.valid].tolist()
        )


def test_half_of_the_hard_negatives_are_siblings_as_likely_as_the_generator_says(world):
    torch.manual_seed(0)
    depth = world.trie.levels
    counts = world.trie.child_counts(depth - 1)
    parent = int(counts.argmax())
    positive = world.trie.children_of(depth - 1, torch.tensor([[parent]])).nodes[..., 0]
    near = near_of(world, depth, positive)
    drawn = hard_negatives(depth, positive, world.trie.nodes[depth], near, 20001)
    siblings = drawn.nodes[0, 0, :10000]
    assert (world.trie.parent(depth, siblings) == parent).all()
    shares = world.trie.last_code(depth, siblings).bincount(minlength=near.probabilities.shape[-1]) / 10000
    assert abs(shares - near.probabilities[0, 0]).max() < 0.02
    even = drawn.nodes[0, 0, 10000:].bincount(minlength=world.trie.nodes[depth]) / 10001
    assert abs(even - 1 / world.trie.nodes[depth]).max() < 0.02


@pytest.mark.parametrize("count", [1, 2, 8])
def test_corrected_hard_negatives_sum_to_the_whole_softmax_in_the_mean(world, count):
    plan = Negatives.of(world.reward("cross_attention"), "hard", count, world.trie, None)
    for depth in range(1, world.trie.levels + 1):
        size = world.trie.nodes[depth]
        logits = torch.randn(size, generator=torch.Generator().manual_seed(3))
        positive = torch.tensor([[size // 2]])
        near = near_of(world, depth, positive)
        many = Near(near.trie, near.parents.expand(1, 4000), near.probabilities.expand(1, 4000, -1))
        torch.manual_seed(0)
        drawn = plan.draw(depth, positive.expand(1, 4000), size, many)
        sums = (logits[drawn.nodes] - drawn.log_expected).masked_fill(drawn.nodes == positive, -torch.inf).exp().sum(-1)
        exact = logits.exp().sum() - logits[positive].exp().sum()
        assert abs(sums.mean() - exact) < 4 * sums.std() / 4000**0.5


def test_hard_negatives_of_their_own_number(world):
    for kind in ("dot", "cross_attention"):
        plan = Negatives.of(world.reward(kind), "hard", None, world.trie, None)
        assert plan.hard and not plan.shared and plan.counts == [32] * world.trie.levels
