"""What histories add to the rewards of paths: sums written out by hand, and nothing of what a target may not see."""

import math

import pytest
import torch

from promise.models.history_terms import history_terms
from promise.models.neighbours import GAIN
from promise.models.overlap import prefix_nodes
from promise.models.path_terms import NodeSums, PathTerms
from promise.models.users import EncoderOutput

LEVELS, HISTORY = 3, 7
KINDS = [(True, 0), (False, 3), (True, 3)]


def terms_of(catalogue, overlap: bool, neighbours: int, seed: int = 0, table=None) -> PathTerms:
    nodes = prefix_nodes(catalogue.codes)
    near = {"neighbours": neighbours, "text_neighbours": neighbours and 1}
    tables = {"neighbours": table or catalogue.neighbours, "text_neighbours": catalogue.lookalikes}
    module = PathTerms(history_terms("reward", overlap, near, HISTORY, nodes, tables), item_nodes=nodes)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight += torch.randn(weight.shape, generator=random)
    return module


def by_hand(module: PathTerms, trie, depth: int, node: int, seen: list[int], similarities: list) -> float:
    """The sum over the history, newest last, by the words of the docstrings."""
    total, own = 0.0, trie.item_nodes(depth).tolist()
    for place, item in enumerate(seen):
        age = len(seen) - 1 - place
        if (overlap := module.terms.overlap) is not None and own[item] == node:
            total += float(overlap.ages[depth - 1, age] + overlap.share[depth - 1] / own.count(node))
    for near, similar in zip(module.terms.neighbours, similarities, strict=True):
        mass = 0.0
        for place, item in enumerate(seen):
            recency = math.exp(float(near.recency[depth - 1, len(seen) - 1 - place]))
            for column, neighbour in enumerate(near.items[item].tolist()):
                if own[neighbour] == node:
                    mass += recency * similar[place][column]
        total += float(near.gains[depth - 1]) * math.log(1 + math.exp(float(near.log_scale[depth - 1])) * mass)
    return GAIN * total


def similarities_of(module: PathTerms, users: EncoderOutput, row: int) -> list:
    """For each table those of one user's items."""
    return [similar[row].tolist() for similar in module.terms.votes(users).similarities]


@pytest.fixture
def users() -> EncoderOutput:
    lengths = torch.tensor([7, 3, 1, 5])
    items = torch.randint(30, (4, 7), generator=torch.Generator().manual_seed(2))
    states = torch.zeros(4, 7, 2)
    return EncoderOutput(states, lengths, states[:, 0], None, items)


@torch.no_grad()
@pytest.mark.parametrize(("overlap", "neighbours"), KINDS)
def test_every_path_gets_the_terms_of_the_entries_below_it(overlap, neighbours, catalogue, users):
    module = terms_of(catalogue, overlap, neighbours)
    votes = module.start(users)
    for depth in range(1, LEVELS + 1):
        count = catalogue.trie.nodes[depth]
        every = votes.added_to_all(depth, torch.zeros(4, count))
        paths = torch.cat((torch.arange(count), torch.tensor([-1]))).expand(4, -1)
        assert torch.allclose(votes.added(depth, paths, torch.zeros(4, count + 1))[:, :-1], every, atol=1e-3)
        assert not votes.added(depth, paths, torch.zeros(4, count + 1))[:, -1].any()  # no path, no term
        for row, (items, length) in enumerate(zip(users.items.tolist(), users.lengths.tolist(), strict=True)):
            for node in range(count):
                expected = by_hand(
                    module, catalogue.trie, depth, node, items[:length], similarities_of(module, users, row)
                )
                assert float(every[row, node]) == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("overlap", "neighbours"), KINDS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_target_in_training_sees_the_items_up_to_its_position_only(shared, overlap, neighbours, catalogue, users):
    module = terms_of(catalogue, overlap, neighbours)
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
                nodes = [depth % count, *negatives.tolist()]
                for node, value in zip(nodes, [positive[row, place], *negative[row, place]], strict=True):
                    expected = by_hand(module, catalogue.trie, depth, node, seen, similarities_of(module, users, row))
                    assert float(value) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("overlap", "neighbours"), KINDS)
def test_it_starts_without_an_opinion(overlap, neighbours, catalogue, users):
    nodes = prefix_nodes(catalogue.codes)
    terms = history_terms(
        "reward", overlap, {"neighbours": neighbours}, HISTORY, nodes, {"neighbours": catalogue.neighbours}
    )
    assert not any(part.any() for part in PathTerms(terms, item_nodes=nodes).start(users).terms)


def test_it_learns_that_nobody_buys_twice(catalogue, users):
    nodes = prefix_nodes(catalogue.codes)
    module = PathTerms(history_terms("reward", True, {}, HISTORY, nodes, {}), item_nodes=nodes)
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


def test_what_follows_a_history_does_not_speak_for_itself(catalogue, users):
    """A pair that stood together in this history alone says nothing where that history is trained on."""
    table = catalogue.neighbours._replace(counts=torch.ones(30, 3))
    module = terms_of(catalogue, False, 3, table=table)
    following = table.items[users.items[:, 2], 0]  # of the second user, the neighbour of its last item
    free, honest = (module.terms.votes(users._replace(following=f)).similarities[0][1, 2, 0] for f in (None, following))
    assert free > 0 and honest == 0


def test_sums_by_hand():
    groups = NodeSums.of(torch.tensor([[7, 4, 7]]))
    assert groups.nodes[:, :2].tolist() == [[4, 7]]
    sums = groups.sums(torch.tensor([[1.0, 10, 100]]))
    places, found = groups.places(torch.tensor([[4, 7, -1, 9]]))
    assert (sums.gather(1, places) * found).tolist() == [[10, 101, 0, 0]]
    each = groups.sums(torch.tensor([[[1.0, 10, 100], [2, 0, 0]]]))
    assert each[:, :, :2].tolist() == [[[10, 101], [0, 2]]]


def test_a_larger_trie_needs_its_nodes(catalogue):
    with pytest.raises(ValueError, match=r"^a reward with overlap or neighbours needs the trie nodes of the items"):
        terms_of(catalogue, True, 3).move(None)
