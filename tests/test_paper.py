"""`experiment=paper`: the networks, the task and the search that it makes are the paper's, switch by switch."""

from collections.abc import Callable
from typing import Any

import pytest

from promise import configs
from promise.models.reward import CrossAttentionReward
from promise.pipeline.networks import network_config

PAPER = ("experiment=paper", "data=s3rec", "generator=tiny", "reward.heads=1", "datamodule.history=9")


@pytest.fixture(scope="module")
def pipeline(pipeline_of: Callable[..., Any]) -> Any:
    return pipeline_of(*PAPER)


def test_sizes_are_the_published_ones_and_data_may_be_another() -> None:
    cfg = configs.compose(["experiment=paper"])
    assert (cfg.data.sequences, cfg.generator.dim, cfg.generator.history) == ("Beauty.txt", 256, 40)
    assert (cfg.reward.dim, cfg.reward.heads * 4, cfg.reward.blocks) == (256, cfg.generator.heads, 1)
    assert configs.compose(["experiment=paper", "data=amazon_union"]).data.times == "times.txt.gz"


def test_networks(pipeline: Any) -> None:
    generator, reward = pipeline.networks
    trie, items = pipeline.network_inputs.trie, pipeline.histories.item_count
    assert not generator.causal and generator.begin_projection is None
    assert generator.item_vectors is None and generator.content_projection is None
    assert not [name for name, weight in generator.named_parameters() if len(weight) == items]  # no table of items
    assert isinstance(reward, CrossAttentionReward) and reward.depth_vectors is None and len(reward.blocks) == 1
    assert reward.dim == generator.dim and reward.reward_blocks[0].attention.heads == 1
    tables = {name: tuple(weight.shape) for name, weight in reward.paths.named_parameters()}
    assert tables == {f"own_vectors.{b}.weight": (trie.nodes[b + 1], reward.dim) for b in range(trie.levels)}


def test_training(pipeline: Any) -> None:
    stage, _ = pipeline.trained_networks
    task = stage.task(stage.networks())
    assert (stage.name, task.softmax, task.reward_loss_weight, task.ema_decay) == ("joint", "all", 1, None)
    drawn = task.negatives
    assert (drawn.shared, drawn.shares, drawn.hard) == (False, None, False) and set(drawn.counts) == {32}


def test_ids(pipeline: Any) -> None:
    """A code more than the quantiser's 3 tells items apart that share these."""
    assert pipeline.cfg.ids["_target_"].endswith("ResidualKMeans") and pipeline.cfg.ids.collisions == "extra_level"
    assert pipeline.trie.levels in (3, 4) and pipeline.cfg.cooccurrence is None


def test_a_guided_search_trusts_the_reward_alone(run: Callable[..., Any]) -> None:
    said = run("evaluate", *PAPER, "search.width=10").json
    assert said["invalid_rate"] == said["duplicate_rate"] == 0 and 0 <= said["metrics"]["recall@10"] <= 1
    cfg = configs.compose(["experiment=paper"])
    assert (cfg.search.weight, cfg.search.reward_levels, cfg.search.adaptive) == (1, "all", "none")


def test_networks_from_before_the_switch_keep_their_names(config_of: Callable[..., Any]) -> None:
    assert "user_state" not in network_config(config_of(), True)["generator"]
    assert network_config(config_of(*PAPER), True)["generator"]["user_state"] is False
