"""Tests of the terms that history items add to the paths above them."""

import torch

from promise.models.overlap import GAIN, HistoryOverlap, prefix_nodes, prefix_shares


def test_an_item_adds_its_ages_term_and_its_share(catalogue):
    nodes = prefix_nodes(catalogue.codes)
    module = HistoryOverlap(4, item_nodes=nodes)
    with torch.no_grad():
        module.ages += torch.randn(module.ages.shape, generator=torch.Generator().manual_seed(0))
        module.share += torch.tensor([1.0, -2.0, 3.0])
    items = torch.arange(len(nodes))
    for depth in (1, 2, 3):
        below = [int((nodes[:, depth - 1] == node).sum()) for node in nodes[:, depth - 1]]
        expected = GAIN * (module.ages[depth - 1, 2] + module.share[depth - 1] / torch.tensor(below))
        assert torch.allclose(module.terms(depth, items, torch.tensor(2)), expected)


def test_nodes_are_the_tries(catalogue):
    nodes = prefix_nodes(catalogue.codes)
    for depth in (1, 2, 3):
        assert torch.equal(nodes[:, depth - 1], catalogue.trie.item_nodes(depth))


def test_shares_of_a_prefix_sum_to_one(catalogue):
    nodes = prefix_nodes(catalogue.codes)
    for column, shares in zip(nodes.unbind(1), prefix_shares(nodes).unbind(1), strict=True):
        sums = torch.zeros(int(column.max()) + 1).index_add_(0, column, shares)
        assert torch.allclose(sums, torch.ones_like(sums))


def test_an_older_item_than_any_known_counts_as_the_oldest(catalogue):
    module = HistoryOverlap(3, item_nodes=prefix_nodes(catalogue.codes))
    with torch.no_grad():
        module.ages[0] = torch.tensor([1.0, 2.0, 3.0])
    terms = module.terms(1, torch.zeros(5, dtype=torch.int64), torch.tensor([-1, 0, 1, 2, 9]))
    assert torch.allclose(terms, GAIN * torch.tensor([0.0, 1, 2, 3, 3]))
