"""Networks wrapped in counts: sums written out by hand, cached = uncached, nothing of what a target may not see."""

import math
from collections.abc import Sequence

import pytest
import torch

from promise.models.cooccurrence import set_scale
from promise.models.cooccurrence.history_bias import GAIN, HistoryBias, prefix_nodes, prefix_shares
from promise.models.cooccurrence.neighbours import HistoryItems, Neighbours

KINDS = ("dot", "cross_attention")
LEVELS, HISTORY = 3, 7


def by_hand(bias: HistoryBias, nodes: list[int], depth: int, node: int, spoken: HistoryItems, row: int, seen: int):
    """What the first `seen` items of a history add to a prefix, by the words of the docstrings."""
    own, *near = (part[row].tolist() for part in spoken.split(spoken.items))
    total = 0.0
    for place in range(seen):
        if nodes[own[place]] == node:
            age = seen - 1 - place
            total += float(bias.own.ages[depth - 1, age] + bias.own.share[depth - 1] / nodes.count(node))
    for module, items, similar in zip(bias.neighbours, near, spoken.similarities, strict=True):
        score, count = 0.0, similar.shape[2]
        for place in range(seen):
            recency = math.exp(float(module.recency[depth - 1, seen - 1 - place]))
            for column, neighbour in enumerate(items[place * count : (place + 1) * count]):
                if nodes[neighbour] == node:
                    score += recency * float(similar[row, place, column])
        total += float(module.gains[depth - 1]) * math.log(1 + math.exp(float(module.log_scale[depth - 1])) * score)
    return GAIN * total


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_every_path_gets_the_terms_of_the_items_below_it(kind, counted, catalogue, histories):
    generator, reward = counted(kind)
    users = generator.encode(*histories)
    cache, plain = reward.start(users), reward.inner.start(users.users)
    for depth in range(1, LEVELS + 1):
        nodes = catalogue.trie.item_nodes(depth).tolist()
        every = reward.score_all(cache, depth) - reward.inner.score_all(plain, depth)
        paths = torch.arange(every.shape[1]).expand(5, -1)
        assert torch.allclose(reward.score(cache, depth, paths), reward.score_all(cache, depth), atol=1e-3)
        some = reward.score(cache.select_users(torch.tensor([3, 0])), depth, paths[[3, 0]])
        assert torch.allclose(some, reward.score_all(cache, depth)[[3, 0]], atol=1e-3)
        for row, length in enumerate(histories[1].tolist()):
            for node in range(every.shape[1]):
                expected = by_hand(reward.bias, nodes, depth, node, users.history_items, row, length)
                assert float(every[row, node]) == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_target_in_training_sees_the_items_up_to_its_position_only(kind, counted, catalogue, histories):
    generator, reward = counted(kind)
    users = generator.encode(histories[0], torch.full((5,), HISTORY))
    positions = torch.arange(HISTORY).expand(5, -1)
    for depth in range(1, LEVELS + 1):
        nodes, count = catalogue.trie.item_nodes(depth).tolist(), catalogue.trie.nodes[depth]
        positives = torch.full((5, HISTORY), depth % count)
        shared = torch.randperm(count)[: max(1, count - 1)]
        negatives = shared if reward.shares_negatives else shared.expand(5, HISTORY, -1)
        pairs = [network.contrast(states, positions, depth, positives, negatives)
                 for network, states in ((reward, users), (reward.inner, users.users))]  # fmt: skip
        (positive, negative), (plain_positive, plain_negative) = pairs
        added = torch.cat(((positive - plain_positive)[..., None], negative - plain_negative), -1)
        for row in range(5):
            for place in range(HISTORY):
                for node, value in zip([depth % count, *shared.tolist()], added[row, place].tolist(), strict=True):
                    expected = by_hand(reward.bias, nodes, depth, node, users.history_items, row, place + 1)
                    assert value == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
def test_codes_get_the_terms_of_the_items_below_path_and_code(counted, catalogue, histories):
    generator, _ = counted()
    users, lengths = generator.encode(*histories), histories[1]
    items = torch.tensor([[4, 9, 2]]).expand(5, -1)
    positions = (lengths - 1)[:, None].clamp_max(torch.tensor([0, 2, 6]))
    arguments = positions, catalogue.codes[items]
    logits, plain = generator.teacher_forced(users, *arguments), generator.inner.teacher_forced(users.users, *arguments)
    for level, added in enumerate(one - other for one, other in zip(logits, plain, strict=True)):
        paths = [tuple(codes[: level + 1]) for codes in catalogue.codes.tolist()]
        for row in range(5):
            for place, item in enumerate(items[row].tolist()):
                for code in range(catalogue.sizes[level]):
                    path = (*paths[item][:level], code)
                    seen = int(positions[row, place]) + 1
                    expected = by_hand(generator.bias, paths, level + 1, path, users.history_items, row, seen)
                    assert float(added[row, place, code]) == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_code_by_code_with_a_cache_is_teacher_forced(attention, counted, histories, catalogue):
    generator, _ = counted(attention=attention)
    users, paths = generator.encode(*histories), catalogue.codes[torch.randint(30, (5, 4))]
    expected = generator.teacher_forced(users, (histories[1] - 1)[:, None].expand(-1, 4), paths)
    logits, cache = generator.next_code(generator.start(users), None, None)
    assert torch.allclose(logits.expand(-1, 4, -1), expected[0], atol=1e-4)
    parents, order = torch.zeros(5, 4, dtype=torch.int64), torch.arange(4)
    needed = torch.tensor([True, False, True, True]).expand(5, -1)
    for level in (1, 2):
        logits, cache = generator.next_code(cache, parents, paths[:, order, level - 1], needed)
        assert torch.allclose(logits[needed], expected[level][:, order][needed], atol=1e-4)
        assert not logits[~needed].any()
        parents, order = torch.tensor([3, 2, 2, 0]).expand(5, -1), order[[3, 2, 2, 0]]
        paths = paths.clone()
        needed = torch.tensor([True, True, False, True]).expand(5, -1)


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_without_an_opinion(kind, counted, histories):
    generator, reward = counted(kind, shake=False)
    users, last = generator.encode(*histories), (histories[1] - 1)[:, None]
    paths = generator.codes[torch.arange(5)][:, None]
    pairs = zip(
        generator.teacher_forced(users, last, paths), generator.inner.teacher_forced(users.users, last, paths),
        strict=True,
    )  # fmt: skip
    assert all(torch.equal(one, other) for one, other in pairs)
    assert torch.equal(
        reward.score_all(reward.start(users), 3), reward.inner.score_all(reward.inner.start(users.users), 3)
    )


def test_the_loss_over_all_has_the_gradients_of_its_logits(counted, histories):
    generator, reward = counted()
    users, real = generator.encode(*histories), torch.rand(5, 3) < 0.7
    positions = (histories[1] - 1)[:, None].clamp_max(torch.tensor([0, 2, 6]))
    for depth, size in enumerate(reward.sizes, start=1):
        positives = torch.randint(size, (5, 3))
        logits = reward.contrast(users, positions, depth, positives, torch.arange(size))[1][real]
        expected = torch.nn.functional.cross_entropy(logits, positives[real])
        found = reward.full_softmax_loss(users, positions, depth, positives, real)
        assert found.item() == pytest.approx(expected.item(), rel=1e-4)
        weights = list(reward.parameters())
        slopes = [torch.autograd.grad(loss, weights, allow_unused=True) for loss in (expected, found)]
        for one, other in zip(*slopes, strict=True):
            assert (one is None) == (other is None)
            assert one is None or torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_it_learns_that_nobody_buys_twice(counted, histories):
    generator, reward = counted(shake=False)
    with torch.no_grad():
        users = generator.encode(*histories)
    optimiser = torch.optim.Adam(reward.bias.parameters(), lr=0.02)
    items = reward.nodes[:, -1][users.history_items.items[:, :1]]
    for _ in range(100):
        loss = reward.score_all(reward.start(users), LEVELS).softmax(1).gather(1, items).sum()  # of what they had
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (reward.score_all(reward.start(users), LEVELS).softmax(1).gather(1, items) < 1e-3).all()


def own_count(sequence: Sequence[int], item: int, neighbour: int, window: int) -> float:
    """What one sequence adds to a count, by loops."""
    total = 0.0
    for place, one in enumerate(sequence):
        for other, value in enumerate(sequence):
            if one == item and value == neighbour and 0 < abs(other - place) <= window:
                total += (1.0 if other > place else 0.4) / abs(other - place) ** 0.7
    return total


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_a_users_own_counts_are_subtracted_before_the_cut(window, count):
    """With repeats in the sequence, and with sequences that go on after the history."""
    items = torch.stack(((torch.arange(6) + 1) % 6, (torch.arange(6) - 1) % 6), 1)
    counts, factors = torch.arange(12.0).view(6, 2) / 4, torch.rand(6, 2)
    table = Neighbours(count, window, 0.7, 0.4, items=items, counts=counts, factors=factors)
    sequence = torch.tensor([[0, 1, 2, 3, 4], [5, 4, 3, -1, -1], [3, -1, -1, -1, -1], [2, 1, 2, 3, 2]])
    history = torch.tensor([[1, 2, 3], [5, 4, 0], [3, 0, 0], [2, 1, 2]])
    near, similarities = table(history, sequence)
    assert near.shape == similarities.shape == (4, 3, count)
    for row, length in enumerate([3, 2, 1, 3]):
        own = [item for item in sequence[row].tolist() if item >= 0]
        for place in range(length):
            item = int(history[row, place])
            left = {
                int(items[item, c]): max(
                    0.0, float(counts[item, c]) - own_count(own, item, int(items[item, c]), window)
                )
                * float(factors[item, c])
                for c in range(2)
            }
            best = sorted(left.values(), reverse=True)[:count]
            assert sorted(similarities[row, place].tolist(), reverse=True) == pytest.approx(best, abs=1e-5)
            for neighbour, value in zip(near[row, place].tolist(), similarities[row, place].tolist(), strict=True):
                assert left[neighbour] == pytest.approx(value, abs=1e-5)


def test_users_in_training_are_left_out_with_all_their_items(counted, histories):
    generator, _ = counted()
    with pytest.raises(ValueError, match="needs the sequences that were counted, got none"):
        generator.encode(*histories, torch.arange(5))
    generator.sequence_items = torch.arange(12).int()
    generator.sequence_offsets = torch.tensor([0, 5, 5, 7, 10, 12])
    found = generator.sequences_of(torch.tensor([2, 0, 4]))
    assert found.tolist() == [[5, 6, -1, -1, -1], [0, 1, 2, 3, 4], [10, 11, -1, -1, -1]]


def test_new_items_have_no_neighbours_and_leave_old_ones_as_they_are(counted, histories):
    generator, _ = counted()
    before = generator.encode(*histories)
    codes = torch.tensor([[0, 4, 2], [3, 0, 1]])
    generator.append_items(codes)
    after = generator.encode(*histories)
    for one, other in zip(before.history_items.similarities, after.history_items.similarities, strict=True):
        assert torch.equal(one, other)
    new = generator.encode(torch.tensor([[30, 31]]), torch.tensor([2])).history_items
    assert not any(similar.any() for similar in new.similarities)


def test_only_counts_are_scaled(counted):
    networks = counted()
    set_scale([*networks, None], 2.5)
    biases = [network.bias.neighbours for network in networks]
    assert [[near.scale for near in bias] for bias in biases] == [[2.5, 1.0]] * 2
    counts = biases[0][0]
    scaled = counts(1, torch.tensor([0.2]))
    set_scale(networks, 1)
    assert scaled.item() == pytest.approx(2.5 * counts(1, torch.tensor([0.2])).item())


def test_nodes_are_the_tries_and_shares_of_a_prefix_sum_to_one(catalogue):
    nodes = prefix_nodes(catalogue.codes)
    for depth, (column, shares) in enumerate(zip(nodes.unbind(1), prefix_shares(nodes).unbind(1), strict=True), 1):
        assert torch.equal(column, catalogue.trie.item_nodes(depth))
        sums = torch.zeros(int(column.max()) + 1).index_add_(0, column, shares)
        assert torch.allclose(sums, torch.ones_like(sums))


def test_an_older_item_than_any_known_counts_as_the_oldest(catalogue):
    bias = HistoryBias(2, [True], item_nodes=prefix_nodes(catalogue.codes))
    with torch.no_grad():
        bias.own.ages[0] = torch.tensor([1.0, 2.0])
    ages = torch.tensor([[9, 1, 0, -1]])
    assert bias.own(1, torch.zeros(1, 4, dtype=torch.int64), ages).tolist() == [[GAIN * x for x in (2, 2, 1, 0)]]
    assert bias.neighbours[0].scores(1, torch.ones(1, 4, 2), ages).tolist() == [[0.5] * 4 + [1, 1, 0, 0]]
