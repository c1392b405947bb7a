"""Tests of the terms of co-visited items."""

import math

import pytest
import torch

from promise.models.neighbours import HistoryNeighbours, NeighbourTable
from promise.models.overlap import GAIN


def table_of(window: int = 2) -> NeighbourTable:
    """Six items in a ring, each the neighbour of the two beside it."""
    items = torch.stack(((torch.arange(6) + 1) % 6, (torch.arange(6) - 1) % 6), 1)
    counts = torch.arange(12.0).view(6, 2) / 4
    return NeighbourTable(items, counts, torch.full((6, 2), 0.5) + counts, window, 0.7, 0.4)


def by_hand(table: NeighbourTable, sequence: list[int], place: int, column: int) -> float:
    """A similarity by the words of the docstring: what the sequence itself counted is taken out again."""
    item = sequence[place]
    count = float(table.counts[item, column])
    for other, value in enumerate(sequence):
        distance = abs(other - place)
        if 0 < distance <= table.window and value == int(table.items[item, column]):
            count -= (1.0 if other > place else table.backward) / distance**table.decay
    return max(count, 0.0) * float(table.factors[item, column])


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_history_does_not_count_for_itself(window):
    table = table_of(window)
    module = HistoryNeighbours(4, 3, table=table)
    history = torch.tensor([[0, 1, 2, 3], [5, 4, 0, 0], [3, 0, 0, 0], [2, 1, 2, 3]])
    lengths, following = torch.tensor([4, 2, 1, 4]), torch.tensor([4, 3, -1, 2])
    for given in (following, None):
        similarities = module.similarities(history, lengths, given)
        assert similarities.shape == (4, 4, 2)
        for row, (items, length) in enumerate(zip(history.tolist(), lengths.tolist(), strict=True)):
            after = [] if given is None or given[row] < 0 else [int(given[row])]
            sequence = items[:length] + after
            for place in range(length):
                for column in range(2):
                    expected = by_hand(table, sequence, place, column)
                    assert float(similarities[row, place, column]) == pytest.approx(expected, abs=1e-4)


def test_a_pair_that_met_only_here_says_nothing():
    table = NeighbourTable(torch.tensor([[1], [0]]), torch.ones(2, 1), torch.ones(2, 1), 3)
    module = HistoryNeighbours(2, 1, table=table)
    history, length = torch.tensor([[0]]), torch.tensor([1])
    assert not module.similarities(history, length, torch.tensor([1])).any()
    assert module.similarities(history, length, None).item() == 1.0


def test_masses_go_by_depth_and_age():
    module = HistoryNeighbours(2, 2, table=table_of())
    assert module.recency.exp().tolist() == [[1, 0.5], [1, 0.5]]  # 1 / place, at first
    with torch.no_grad():
        module.recency.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).log())
    similarities = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]])  # (1, 3, 2)
    ages = torch.tensor([[2, 1, 0]])
    for depth, shift, expected in ((1, 0, [2, 20, 4, 40, 3, 30]), (2, 1, [4, 40, 6, 60, 0, 0])):
        assert module.masses(depth, similarities, ages - shift)[0].tolist() == pytest.approx(expected)


def test_a_term_is_the_log_of_a_mass():
    module = HistoryNeighbours(2, 2, table=table_of())
    masses = torch.tensor([0.0, 0.3])
    assert not module.terms(1, masses).any()  # no opinion at first
    with torch.no_grad():
        module.gains.copy_(torch.tensor([1.0, -0.5]))
        module.log_scale.copy_(torch.tensor([2.0, 3.0]).log())
    assert module.terms(1, masses).tolist() == pytest.approx([0, GAIN * math.log(1.6)])
    assert module.terms(2, masses).tolist() == pytest.approx([0, -0.5 * GAIN * math.log(1.9)])


def test_new_items_have_no_neighbours():
    module = HistoryNeighbours(2, 1, table=table_of())
    before = module.similarities(torch.tensor([[2, 3]]), torch.tensor([2]), None)
    module.grow(8)
    assert module.items[6:].tolist() == [[6, 6], [7, 7]]
    assert torch.equal(module.similarities(torch.tensor([[2, 3]]), torch.tensor([2]), None), before)
    assert not module.similarities(torch.tensor([[6, 7]]), torch.tensor([2]), None).any()


def test_the_nearest_are_the_first():
    table = table_of().nearest(1)
    assert table.items.flatten().tolist() == [1, 2, 3, 4, 5, 0]
    assert table.counts.shape == table.factors.shape == (6, 1) and table.window == 2


def test_trust_weighs_what_was_learned_of_counts():
    module = HistoryNeighbours(2, 1, table=table_of())
    with torch.no_grad():
        module.gains.fill_(0.5)
    as_learned = module.terms(1, torch.tensor([0.2]))
    module.trust = 3.0
    assert module.terms(1, torch.tensor([0.2])).item() == pytest.approx(3 * as_learned.item())
