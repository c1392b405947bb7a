"""What the reward learns from: InfoNCE against plain Python, its negatives, the frozen generator, errors."""

import math

import pytest
import torch
from lightning.pytorch import Callback

from promise.data.batch import Batch
from promise.ids.trie import Trie
from promise.models.users import EncoderOutput
from promise.tasks.generator import next_code_logits
from promise.tasks.negatives import Negatives, hard_negatives
from promise.tasks.reward import path_loss
from promise.tasks.training import Targets
from tests.models.conftest import Preference


def loss_of(reward, users, batch, trie: Trie, count: int | None) -> torch.Tensor:
    """The loss with the same number of negatives at every depth."""
    return path_loss(
        reward, users, batch, Targets(trie), trie, Negatives([count] * trie.levels, reward.shares_negatives)
    )


@pytest.fixture
def batch(world) -> Batch:
    return world.batch()


@pytest.fixture
def users(world, batch) -> EncoderOutput:
    generator = world.generator().eval()
    with torch.no_grad():
        for weight in generator.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(8))
        return generator.encode(batch.history, batch.lengths)


@torch.no_grad()
def plain_loss(reward, users, batch: Batch, trie: Trie, negatives_of) -> float:
    """-log(e^pos / (e^pos + sum of e^neg)), one target and one depth at a time; the scores come from the search's side.

    Args:
        negatives_of: (depth, positive node) -> list of negative nodes.
    """
    items = Targets(trie)
    losses = []
    for row, places in enumerate(batch.targets.tolist()):
        for place, target in enumerate(places):
            if target < 0:
                continue
            seen = int(batch.positions[row, place]) + 1
            states = users.states[row : row + 1, :seen]
            one = EncoderOutput(states, torch.tensor([seen]), states[:, -1], None)
            context = reward.start(one)
            for depth in range(1, trie.levels + 1):
                positive = int(items.nodes[target, depth])
                nodes = [positive, *negatives_of(depth, positive)]
                scores = reward.score(context, depth, torch.tensor([nodes]))[0].tolist()
                losses.append(math.log(sum(map(math.exp, scores))) - scores[0])
    return sum(losses) / int((batch.targets >= 0).sum())


@torch.no_grad()
@pytest.mark.parametrize(
    "kind, count", [("dot", None), ("dot", 30), ("dot", 1000), ("cross_attention", 29), ("cross_attention", 1000)]
)
def test_with_negatives_enough_it_is_the_softmax_over_all_prefixes(kind, count, world, users, batch):
    reward = world.reward(kind).eval()

    def others(depth: int, positive: int) -> list[int]:
        return [node for node in range(world.trie.nodes[depth]) if node != positive]

    expected = plain_loss(reward, users, batch, world.trie, others)
    loss = loss_of(reward, users, batch, world.trie, count)
    assert float(loss.sum()) == pytest.approx(expected, rel=1e-4)


def test_the_exact_loss_has_the_gradients_of_its_logits(world, users, batch):
    reward = world.reward("dot").eval()
    with torch.no_grad():
        for weight in reward.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(8))
    real, items = batch.targets >= 0, Targets(world.trie)
    for depth in range(1, world.trie.levels + 1):
        nodes = torch.arange(world.trie.nodes[depth])
        positives = items.nodes[batch.targets.clamp_min(0), depth]
        positive, others = reward.contrast(users, batch.positions, depth, positives, nodes)
        expected = (others.logsumexp(-1) - positive)[real].mean()
        found = reward.full_softmax_loss(users, batch.positions, depth, positives, real)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        weights = [weight for weight in reward.parameters() if weight.requires_grad]
        slopes = [torch.autograd.grad(loss, weights, allow_unused=True) for loss in (expected, found)]
        for one, other in zip(*slopes, strict=True):
            assert (one is None) == (other is None)
            assert one is None or torch.allclose(one, other, rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_the_positive_does_not_count_among_the_shared_negatives(world, users, batch, monkeypatch):
    reward = world.reward("dot").eval()
    drawn = [[0, 2], [3, 9, 11], [1, 5, 20, 29]]
    sizes = world.trie.nodes[1:]
    drawn = dict(zip(sizes, drawn, strict=True))
    asked = []

    def fixed(size: int, count: int, device: torch.device) -> torch.Tensor:
        asked.append((size, count))
        return torch.tensor(drawn[size])

    monkeypatch.setattr("promise.tasks.negatives.distinct_nodes", fixed)
    loss = loss_of(reward, users, batch, world.trie, 2)
    assert asked == [(size, 2) for size in sizes]

    def others(depth: int, positive: int) -> list[int]:
        return [node for node in drawn[sizes[depth - 1]] if node != positive]

    assert float(loss.sum()) == pytest.approx(plain_loss(reward, users, batch, world.trie, others), rel=1e-4)


@torch.no_grad()
def test_own_negatives_that_repeat_count_once(world, users, batch, monkeypatch):
    reward = world.reward("cross_attention").eval()

    def fixed(positives, size, count):
        nodes = torch.stack([(positives + 1) % size, (positives + 1) % size, (positives + 2) % size], -1)
        return nodes, torch.tensor([False, True, False]).expand_as(nodes)

    monkeypatch.setattr("promise.tasks.negatives.own_negatives", fixed)
    loss = loss_of(reward, users, batch, world.trie, 3)
    sizes = world.trie.nodes

    def others(depth: int, positive: int) -> list[int]:
        return [(positive + 1) % sizes[depth], (positive + 2) % sizes[depth]]

    assert float(loss.sum()) == pytest.approx(plain_loss(reward, users, batch, world.trie, others), rel=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_hard_negatives_count_by_how_often_they_are_drawn(kind, world, users, batch, monkeypatch):
    reward = world.reward(kind).eval()
    generator, items = world.generator().eval(), Targets(world.trie)
    logits = next_code_logits(generator, users, batch, items)
    plan = Negatives.of(reward, "hard", 6, world.trie, None)
    kept = {}

    def remembered(depth, *rest):
        kept[depth] = hard_negatives(depth, *rest)
        return kept[depth]

    monkeypatch.setattr("promise.tasks.negatives.hard_negatives", remembered)
    loss = path_loss(reward, users, batch, items, world.trie, plan, logits)
    expected, real = 0.0, batch.targets >= 0
    for depth, drawn in kept.items():
        everything = torch.arange(world.trie.nodes[depth])
        nodes = everything if kind == "dot" else everything.expand(*real.shape, -1)  # shared, or each target's own
        positives = items.nodes[batch.targets.clamp_min(0), depth]
        _, every = reward.contrast(users, batch.positions, depth, positives, nodes)
        for row, place in real.nonzero().tolist():
            positive, scores = positives[row, place], every[row, place]
            total = scores[positive].exp()
            for node, often in zip(drawn.nodes[row, place], drawn.log_expected[row, place], strict=True):
                total = total + (scores[node] - often).exp() * (node != positive)
            expected += float(total.log() - scores[positive]) / int(real.sum())
    assert float(loss.sum()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_a_depth_of_one_prefix_teaches_nothing(kind, users, batch, world):
    codes = torch.stack([torch.zeros(30), torch.arange(30), torch.zeros(30)], 1).long()
    trie = Trie(codes, (1, 30, 1))
    reward = world.reward(kind, trie=trie)
    loss = loss_of(reward, users, batch, trie, 5)
    loss.sum().backward()
    for depth, vectors in enumerate(reward.paths.own_vectors, start=1):
        assert (vectors.weight.grad is None) == (depth == 1)
    alone = Trie([[0, 0]], (1, 1))
    first = batch._replace(targets=batch.targets.clamp_max(0))
    assert loss_of(world.reward(kind, trie=alone), users, first, alone, 5).tolist() == [0, 0]


@pytest.mark.parametrize("how", [None, "hard"])
@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_the_generator_keeps_its_weights(kind, how, world, tmp_path, lightning):
    generator = world.generator(dropout=0.5)
    reward = world.reward(kind)
    frozen = {name: weight.clone() for name, weight in generator.state_dict().items()}
    learning = {name: weight.clone() for name, weight in reward.state_dict().items()}
    task = world.task("reward", generator, reward, negatives=how)
    world.fit(task, tmp_path)
    assert all(torch.equal(weight, frozen[name]) for name, weight in generator.state_dict().items())
    assert not any(torch.equal(weight, learning[name]) for name, weight in reward.named_parameters())
    assert not any(weight.requires_grad for weight in generator.parameters())


def test_the_frozen_generator_drops_nothing(world, tmp_path, lightning):
    modes = set()

    class Watch(Callback):
        def on_train_batch_start(self, trainer, task, batch, index) -> None:
            modes.add((task.generator.training, task.reward.training))

    world.fit(world.task("reward", epochs=2), tmp_path, [Watch()])
    assert modes == {(False, True)}


def test_the_number_of_negatives(world):
    cross = world.reward("cross_attention")
    above = world.trie.levels - 1
    for changes, counts in (
        ({"negatives": "sampled", "negative_count": None}, [2048] * (above + 1)),
        ({"negatives": None, "negative_count": None}, [2048] * above + [None]),
        ({"negatives": "full_softmax_last", "negative_count": 3}, [3] * above + [None]),
        ({"negatives": "full_softmax", "negative_count": None}, [None] * (above + 1)),
        ({"negatives": None, "negative_count": None, "reward": cross}, [32] * (above + 1)),
    ):
        assert world.task("reward", **changes).negatives.counts == counts


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("sampled_softmax_loss", lambda loss: loss.expand(3), r"must be a tensor of shape \(\), got shape \(3,\)"),
        ("sampled_softmax_loss", lambda loss: 0.5, r"a loss of Preference must be a tensor of shape \(\), got float"),
        ("sampled_softmax_loss", lambda loss: loss.detach(), "losses of Preference have no gradient: "),
        ("score", lambda scores: scores[:, :1], r"Preference\.score must give .* \(.*, 4\), got \(.*, 1\)"),
        ("score", lambda scores: None, r"Preference\.score must give rewards of shape \(.*, 4\), got NoneType"),
    ],
)
def test_what_a_reward_of_somebody_elses_gets_wrong_is_told(name, change, said, world, users, batch, monkeypatch):
    reward = Preference(user_dim=16, prefixes=[world.trie.prefixes(depth) for depth in (1, 2, 3)])
    right = getattr(reward, name)
    monkeypatch.setattr(reward, name, lambda *given: change(right(*given)))
    with pytest.raises(ValueError, match=said):
        loss_of(reward, users, batch, world.trie, 3)
