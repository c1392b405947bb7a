"""A drawn catalogue and networks whose weights are large enough that every leak or slip shows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.neighbours import NeighbourTable
from promise.models.overlap import prefix_nodes
from promise.models.reward import CrossAttentionReward, DotReward

SIZES = (4, 5, 3)
ITEMS = 30
DIM = 16


def shaken(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The network in evaluation mode with noise on every weight: fresh ones say nearly the same of everything."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=random)
    return network.eval()


@pytest.fixture
def catalogue() -> SimpleNamespace:
    """30 items on distinct paths of 3 levels: codes, trie, and the prefixes of every depth."""
    random = np.random.default_rng(3)
    flat = random.choice(np.prod(SIZES), ITEMS, replace=False)
    codes = np.stack(np.unravel_index(flat, SIZES), axis=1)
    trie = Trie(codes, SIZES)
    prefixes = [trie.prefixes(depth) for depth in range(1, trie.levels + 1)]
    near = torch.from_numpy(np.stack([random.choice(ITEMS, 3, replace=False) for _ in range(ITEMS)]))
    table = NeighbourTable(near, torch.from_numpy(random.random((ITEMS, 3), np.float32) * 3), torch.ones(ITEMS, 3), 2)
    alike = NeighbourTable(
        (torch.arange(ITEMS)[:, None] + 1) % ITEMS, torch.full((ITEMS, 1), 0.3), torch.ones(ITEMS, 1), 0
    )
    tables = {"neighbours": table, "lookalikes": alike}
    return SimpleNamespace(codes=torch.from_numpy(codes), trie=trie, prefixes=prefixes, sizes=SIZES, **tables)


@pytest.fixture
def make_generator(catalogue):
    def make(seed: int = 0, shake: bool = True, **changes) -> Generator:
        settings = {
            "dim": DIM,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "heads": 2,
            "dropout": 0.3,
            "history": 7,
            "attention": "causal",
            "item_vectors": True,
            "content": False,
            "overlap": True,
            "neighbours": 3,
            "text_neighbours": 1,
            "neighbour_tables": {"neighbours": catalogue.neighbours, "text_neighbours": catalogue.lookalikes},
            "codes": catalogue.codes,
            "level_sizes": catalogue.sizes,
        }
        torch.manual_seed(seed)
        generator = Generator(**{**settings, **changes})
        return shaken(generator, seed) if shake else generator.eval()

    return make


@pytest.fixture
def make_reward(catalogue):
    def make(kind: str, seed: int = 0, **changes) -> DotReward | CrossAttentionReward:
        shared = {"prefix_table": "full", "dropout": 0.3, "content": False, "user_dim": DIM}
        shared |= {"prefixes": catalogue.prefixes, "level_sizes": catalogue.sizes}
        shared |= {"overlap": True, "history": 7, "item_nodes": prefix_nodes(catalogue.codes)}
        shared |= {
            "neighbours": 3,
            "text_neighbours": 1,
            "neighbour_tables": {"neighbours": catalogue.neighbours, "text_neighbours": catalogue.lookalikes},
        }
        torch.manual_seed(seed)
        if kind == "dot":
            return shaken(DotReward(**{"dim": 12, "temperature": 5.0, **shared, **changes}), seed)
        return shaken(CrossAttentionReward(**{"dim": 8, "heads": 2, "blocks": 2, **shared, **changes}), seed)

    return make


@pytest.fixture
def histories() -> tuple[torch.Tensor, torch.Tensor]:
    """Five histories of 1 to 7 items (B, H) with their lengths (B,); the padding holds arbitrary items."""
    random = torch.Generator().manual_seed(1)
    return torch.randint(ITEMS, (5, 7), generator=random), torch.tensor([7, 3, 1, 5, 7])
