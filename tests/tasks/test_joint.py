"""Joint training: the sum of both losses, learning of both networks, errors."""

import pytest
import torch

from promise.models.cooccurrence import wrap
from promise.tasks import joint
from promise.tasks.generator import next_code_logits, next_code_loss
from promise.tasks.reward import path_loss
from tests.models.conftest import Preference


@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_the_weighted_sum(kind, weight, world, monkeypatch):
    task = world.task("joint", reward=world.reward(kind), reward_loss_weight=weight).eval()
    logged = {}
    monkeypatch.setattr(task, "log_dict", lambda values, **_: logged.update(values))
    batch = world.batch()
    users = task.generator.encode(batch.history, batch.lengths)
    codes = next_code_loss(
        next_code_logits(task.generator, users, batch, task.items), batch, task.items, world.trie, "allowed"
    )
    torch.manual_seed(3)
    paths = path_loss(task.reward, users, batch, task.items, world.trie, task.negatives)
    torch.manual_seed(3)
    assert torch.allclose(task.training_step(batch, 0), codes.sum() + weight * paths.sum())
    assert torch.allclose(logged["train/next_code_loss"], codes.sum())
    assert torch.allclose(logged["train/path_loss"], paths.sum())


def test_with_shuffled_histories_the_reward_alone_learns_targets_of_others(world, monkeypatch):
    task, batch = world.task("joint", shuffle_histories=True).eval(), world.batch()
    logged, seen = {}, []
    monkeypatch.setattr(task, "log_dict", lambda values, **_: logged.update(values))
    monkeypatch.setattr(joint, "path_loss", lambda *given: seen.append(given[2].targets) or path_loss(*given))
    task.training_step(batch, 0)
    users = task.generator.encode(batch.history, batch.lengths)
    logits = next_code_logits(task.generator, users, batch, task.items)
    codes = next_code_loss(logits, batch, task.items, world.trie, "allowed")
    assert torch.allclose(logged["train/next_code_loss"], codes.sum())
    (dealt,) = seen
    assert torch.equal(dealt < 0, batch.targets < 0) and not torch.equal(dealt, batch.targets)
    assert torch.equal(dealt.flatten().sort().values, batch.targets.flatten().sort().values)
    with pytest.raises(ValueError, match=r"training\.shuffle_histories needs negatives .+, got hard"):
        world.task("joint", shuffle_histories=True, negatives="hard", negative_count=30)


@pytest.mark.parametrize("how", [None, "hard"])
@pytest.mark.parametrize("kind", ["dot", "cross_attention"])
def test_some_steps_overfit_one_batch(kind, how, world):
    generator, reward = world.generator(dropout=0.0), world.reward(kind, dropout=0.0)
    task = world.task("joint", generator, reward, negatives=how, negative_count=30)
    history = [list(row.values()) for row in world.losses(task, 40)]
    assert all(late < 0.8 * first for first, late in zip(history[0], history[20], strict=True))
    assert all(late < 0.35 * first for first, late in zip(history[0], history[-1], strict=True))


def test_the_reward_teaches_the_encoder_too(world, monkeypatch):
    task = world.task("joint")
    batch = world.batch()
    users = task.generator.encode(batch.history, batch.lengths)
    path_loss(task.reward, users, batch, task.items, world.trie, task.negatives).sum().backward()
    assert task.generator.item_vectors.weight.grad.abs().sum() > 0
    assert all(block.cross.query.weight.grad is None for block in task.generator.decoder_blocks)


@pytest.mark.parametrize("how", [None, "hard"])
@pytest.mark.parametrize("counted", [False, True])
def test_a_reward_of_somebody_elses_is_trained_and_searched(counted, how, world):
    prefixes = [world.trie.prefixes(depth) for depth in (1, 2, 3)]
    generator, reward = world.generator(dropout=0.0), Preference(user_dim=16, prefixes=prefixes)
    if counted:
        items, offsets = (torch.from_numpy(part) for part in world.histories.training_items())
        tables = {"texts.items": (torch.arange(30)[:, None] + 1) % 30, "texts.counts": torch.ones(30, 1)}
        tables |= {"texts.factors": torch.ones(30, 1), "sequences.items": items, "sequences.offsets": offsets}
        config = {"neighbours": 0, "text_neighbours": 1, "window": 2, "decay": 1.0, "backward": 1.0}
        generator, reward = wrap(config, generator, reward, tables, world.codes)
    task = world.task("joint", generator, reward, negatives=how, negative_count=None)
    assert task.negatives.counts == [32] * 3
    losses = [sum(row.values()) for row in world.losses(task, 15)]
    assert losses[-1] < 0.7 * losses[0]
    ranking = task.eval().ranker.rank(next(iter(world.data().val_dataloader())), 5)
    assert (ranking.items >= 0).all() and ranking.cost.prm_paths > 0
