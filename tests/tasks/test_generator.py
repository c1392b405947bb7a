"""The generator's training: its loss against plain Python, no look ahead from data to loss, learning, errors."""

import math

import numpy as np
import pytest
import torch

from promise.data.batch import Batch
from promise.data.datasets import Prefixes, Windows
from promise.data.histories import Histories
from promise.models.cooccurrence import wrap
from promise.pipeline.cooccurrence import co_visit_table
from promise.tasks.generator import next_code_logits, next_code_loss
from promise.tasks.training import Targets


def plain_loss(logits, batch: Batch, world, softmax: str) -> float:
    """One target, one level and one code at a time."""
    paths = world.codes.tolist()
    losses = []
    for row, targets in enumerate(batch.targets.tolist()):
        for place, target in enumerate(targets):
            if target < 0:
                continue
            total = 0.0
            for level in range(3):
                scores = logits[level][row, place].tolist()
                prefix = paths[target][:level]
                allowed = {path[level] for path in paths if path[:level] == prefix}
                codes = allowed if softmax == "allowed" else range(len(scores))
                total += math.log(sum(math.exp(scores[c]) for c in codes)) - scores[paths[target][level]]
            losses.append(total)
    return sum(losses) / len(losses)


@torch.no_grad()
@pytest.mark.parametrize("softmax", ["allowed", "all"])
@pytest.mark.parametrize("rows", ["windows", "prefixes"])
def test_the_loss_is_plain_cross_entropy(softmax, rows, world):
    generator = world.generator().eval()
    for weight in generator.parameters():
        weight += 0.3 * torch.randn(weight.shape)
    batch, items = world.batch(rows), Targets(world.trie)
    users = generator.encode(batch.history, batch.lengths)
    logits = generator.teacher_forced(users, batch.positions, world.codes[batch.targets.clamp_min(0)])
    loss = next_code_loss(next_code_logits(generator, users, batch, items), batch, items, world.trie, softmax)
    assert float(loss.sum()) == pytest.approx(plain_loss(logits, batch, world, softmax), rel=1e-5)


def training_rows(kind: str, items: np.ndarray, limit: int) -> Batch:
    """All rows of one user's training part in one batch."""
    histories = Histories(items.astype(np.int32), np.array([0, len(items)]), 30)
    rows = (Windows if kind == "windows" else Prefixes)(histories, limit)
    return rows[np.arange(len(rows))]


OPTIONS = {"window": 4, "decay": 0.7, "backward": 0.4}


@torch.no_grad()
@pytest.mark.parametrize(
    "rows, attention", [("windows", "causal"), ("prefixes", "causal"), ("prefixes", "bidirectional")]
)
@pytest.mark.parametrize("limit", [4, 20])
@pytest.mark.parametrize("kind, counts", [("dot", False), ("cross_attention", False), ("dot", True)])
def test_no_target_leaks_into_its_own_prediction(rows, attention, limit, kind, counts, world):
    """From the user's items to log-probabilities and rewards: items t and later change nothing for target t.

    With counts they are counted anew, of this user and others, for every change of the user's items.
    """
    generator, reward = world.generator(attention=attention, history=limit).eval(), world.reward(kind).eval()
    noise = torch.Generator().manual_seed(1)

    def shaken(network):
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=noise)
        return network.eval()

    shaken(generator), shaken(reward)
    random = np.random.default_rng(0)
    others = [random.integers(0, 30, 13) for _ in range(20)]
    items = random.integers(0, 30, 13)  # the last two are no training targets
    judged = torch.from_numpy(random.integers(0, 30, 10))  # one fixed path for each target 1..10
    nodes = [world.trie.item_nodes(depth)[judged] for depth in (1, 2, 3)]

    def networks(items: np.ndarray):
        if not counts:
            return generator, reward
        noise.manual_seed(2)
        trained = np.concatenate([each[:-2] for each in (items, *others)]), np.arange(22) * 11
        table = co_visit_table(*(trained, 30, 3, None), **OPTIONS, rarity=0, text_weight=0)
        tables = {f"co_visits.{name}": values for name, values in table.items()}
        tables |= {"sequences.items": torch.from_numpy(trained[0]), "sequences.offsets": torch.from_numpy(trained[1])}
        config = {"neighbours": 3, "text_neighbours": 0, **OPTIONS}
        wrapped = wrap(config, generator, reward, tables, world.codes)
        return shaken(wrapped[0].bias) and wrapped[0].eval(), shaken(wrapped[1].bias) and wrapped[1].eval()

    def answers(items: np.ndarray) -> torch.Tensor:
        """(10, ...) everything that is said of targets 1..10: logits of all levels, rewards of all depths."""
        batch, (generator, reward) = training_rows(rows, items, limit), networks(items)
        real = batch.targets >= 0
        assert batch.targets[real].tolist() == items[1:11].tolist()  # every item after the first, once, in order
        users = generator.encode(batch.history, batch.lengths, batch.users)
        paths = torch.zeros(*real.shape, 3, dtype=torch.int64)
        paths[real] = world.codes[judged]
        logits = [level[real] for level in generator.teacher_forced(users, batch.positions, paths)]
        rewards = []
        for depth in (1, 2, 3):
            positives = torch.zeros(real.shape, dtype=torch.int64)
            positives[real] = nodes[depth - 1]
            negatives = torch.arange(4) if reward.shares_negatives else torch.arange(4).expand(*real.shape, -1)
            positive, negative = reward.contrast(users, batch.positions, depth, positives, negatives)
            rewards += [positive[real].unsqueeze(-1), negative[real]]
        return torch.cat([*logits, *rewards], -1)

    before = answers(items)
    for t in range(1, 11):
        changed = items.copy()
        changed[t:] = (changed[t:] + random.integers(1, 30, 13 - t)) % 30
        after = answers(changed)
        assert torch.allclose(before[:t], after[:t], atol=1e-3 if counts else 1e-5)
        if t < 10:
            assert not torch.allclose(before[t], after[t], atol=3e-2 if counts else 1e-3)  # target t + 1 sees item t


def test_the_loss_falls_over_a_fit(world, tmp_path, lightning):
    task = world.task("generator", epochs=15)
    batch = world.batch()

    def loss() -> float:
        task.eval()
        with torch.no_grad():
            users = task.generator.encode(batch.history, batch.lengths)
            logits = next_code_logits(task.generator, users, batch, task.items)
            return float(next_code_loss(logits, batch, task.items, world.trie, task.softmax).sum())

    before = loss()
    task.train()
    trainer = world.fit(task, tmp_path)
    assert loss() < 0.5 * before
    assert "train/next_code_loss" in trainer.callback_metrics
