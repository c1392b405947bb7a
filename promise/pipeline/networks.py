"""Networks made of their config and of data alone: semantic IDs, item vectors and tables; no pipeline, no histories."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.models.cooccurrence import wrap
from promise.models.generator import Generator
from promise.models.reward import RewardModel
from promise.pipeline.config import make_with, parameters_of, plain

#: The file of trained weights, in an artifact and in a model folder.
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """All that networks are made of besides their config.

    Attributes:
        ids: Semantic IDs of the catalogue.
        trie: Their trie.
        item_vectors: Item embeddings (I, E); None where no network asks for them.
        tables: Further tensors by name, `TABLE.FIELD`, such as the nearest items of every item; those of the table
            `sequences` are of use to a training alone.
    """

    ids: SemanticIds
    trie: Trie
    item_vectors: NDArray[np.float32] | None = None
    tables: Mapping[str, Tensor] = field(default_factory=dict)

    def for_search(self) -> "NetworkInputs":
        """The same without what only a training needs."""
        kept = {name: tensor for name, tensor in self.tables.items() if not name.startswith("sequences.")}
        return replace(self, tables=kept)


def network_config(cfg: DictConfig, with_reward: bool) -> dict[str, Any]:
    """The nodes of the root config that make networks: `generator`, `reward` (None = none) and, if any, a wrapper.

    An option that came later is left out at its default, so that networks from before it keep their names.
    """
    reward = plain(cfg.reward) if with_reward else None
    config: dict[str, Any] = {"generator": plain(cfg.generator), "reward": reward}
    if config["generator"].get("user_state") is True:
        del config["generator"]["user_state"]
    if (wrapper := cfg.get("cooccurrence")) is not None:
        config["cooccurrence"] = plain(wrapper)
    return config


def build_networks(config: Any, inputs: NetworkInputs, with_reward: bool) -> tuple[Generator, RewardModel | None]:
    """Untrained networks with the weights that the seed gives.

    A constructor gets those of the run-time arguments below that it names.

    Args:
        config: The root config, or any mapping with `seed`, `generator` and `reward`.
        inputs: What they are made of.
        with_reward: Whether to build the reward model too.
    """
    ids, trie = inputs.ids, inputs.trie
    depths = range(1, trie.levels + 1)
    vectors = None if inputs.item_vectors is None else torch.from_numpy(inputs.item_vectors)
    torch.manual_seed(config["seed"])
    codes = torch.from_numpy(ids.codes)
    both: dict[str, Callable[[], Any]] = {
        "codes": lambda: codes,
        "level_sizes": lambda: ids.level_sizes,
        "content_vectors": lambda: vectors,
    }
    generator, reward = make_with(config["generator"], both), None
    if with_reward:
        of_reward: dict[str, Callable[[], Any]] = {
            "user_dim": lambda: generator.dim,
            "history": lambda: generator.history,
            "prefixes": lambda: [trie.prefixes(depth) for depth in depths],
            "prefix_content": lambda: prefix_means(vectors, trie) if wants_vectors(config["reward"]) else None,
        }
        reward = make_with(config["reward"], both | of_reward)
    return wrap(config.get("cooccurrence"), generator, reward, inputs.tables, codes)


def wants_vectors(node: Any) -> bool:
    """Whether a network's constructor names the item vectors, and its config does not say `content: false`."""
    asked = parameters_of(node["_target_"]) & {"content_vectors", "prefix_content"}
    return bool(asked) and bool(node.get("content", True))


def prefix_means(vectors: Tensor | None, trie: Trie) -> list[Tensor] | None:
    """Mean embedding of the items below each node: (I, E) -> (N_b, E) for each depth 1..L; None without embeddings."""
    if vectors is None:
        return None
    means = []
    for depth in range(1, trie.levels + 1):
        counts = trie.leaf_counts(depth)
        sums = vectors.new_zeros(len(counts), vectors.shape[1]).index_add_(0, trie.item_nodes(depth), vectors)
        means.append(sums / counts.unsqueeze(1))
    return means


def save_weights(path: Path, networks: Mapping[str, nn.Module | None]) -> None:
    """Write the weights of networks as `NETWORK.PARAMETER`; None is left out."""
    state = {
        f"{name}.{key}": value.contiguous()
        for name, network in networks.items()
        if network is not None
        for key, value in network.state_dict().items()
    }
    path.write_bytes(save(state))


def load_weights(path: Path, networks: Mapping[str, nn.Module | None]) -> None:
    """Give networks their weights, and switch them to evaluation mode; ValueError if the file holds none of these."""
    try:
        state = load_file(path)
        for name, network in networks.items():
            if network is not None:
                own = {key.removeprefix(f"{name}."): v for key, v in state.items() if key.startswith(f"{name}.")}
                network.load_state_dict(own)
                network.eval()
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} does not hold the weights of these networks: {reason[:300]}") from error
