"""A drawn catalogue and networks whose weights are large enough that every leak or slip shows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from promise.ids.trie import Trie
from promise.models.cooccurrence import CooccurrenceGenerator, CooccurrenceReward, wrap
from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward, RewardModel

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


class Preference(RewardModel):
    """A reward of somebody else's, as small as one can be."""

    def __init__(self, *, user_dim: int, prefixes: list[torch.Tensor]) -> None:
        super().__init__(prefixes)
        self.vectors = torch.nn.ModuleList(torch.nn.Embedding(len(codes), user_dim) for codes in prefixes)

    def score(self, cache, depth, nodes):
        users = cache.values
        real = torch.ones(users.states.shape[:2]) if users.mask is None else users.mask[:, 0, 0].float()
        mean = (users.states * real[..., None]).sum(1) / real.sum(1, keepdim=True)  # of all that is seen
        return (self.vectors[depth - 1](nodes) @ (users.last + mean)[..., None]).squeeze(-1)


@pytest.fixture
def catalogue() -> SimpleNamespace:
    """30 items on distinct paths of 3 levels: codes, trie, and the prefixes of every depth."""
    random = np.random.default_rng(3)
    flat = random.choice(np.prod(SIZES), ITEMS, replace=False)
    codes = np.stack(np.unravel_index(flat, SIZES), axis=1)
    trie = Trie(codes, SIZES)
    prefixes = [trie.prefixes(depth) for depth in range(1, trie.levels + 1)]
    return SimpleNamespace(codes=torch.from_numpy(codes), trie=trie, prefixes=prefixes, sizes=SIZES)


@pytest.fixture
def make_generator(catalogue):
    def make(seed: int = 0, shake: bool = True, **changes) -> Generator:
        settings = {"dim": DIM, "encoder_layers": 2, "decoder_layers": 2, "heads": 2, "dropout": 0.3, "history": 7}
        settings |= {"attention": "causal", "item_vectors": True, "content": False}
        settings |= {"codes": catalogue.codes, "level_sizes": catalogue.sizes}
        torch.manual_seed(seed)
        generator = Generator(**{**settings, **changes})
        return shaken(generator, seed) if shake else generator.eval()

    return make


@pytest.fixture
def make_reward(catalogue):
    def make(kind: str, seed: int = 0, **changes) -> RewardModel:
        shared = {"prefix_table": "full", "dropout": 0.3, "content": False, "user_dim": DIM}
        shared |= {"prefixes": catalogue.prefixes, "level_sizes": catalogue.sizes}
        torch.manual_seed(seed)
        if kind == "dot":
            return shaken(DotReward(**{"dim": 12, "temperature": 5.0, **shared, **changes}), seed)
        return shaken(CrossAttentionReward(**{"dim": 8, "heads": 2, "blocks": 2, **shared, **changes}), seed)

    return make


@pytest.fixture
def counted(catalogue, make_generator, make_reward):
    """Networks wrapped in drawn counts: 3 of 4 co-visited candidates of every item, and 1 alike."""
    random = np.random.default_rng(4)
    near = torch.from_numpy(np.stack([random.choice(ITEMS, 4, replace=False) for _ in range(ITEMS)]))
    tables = {
        "co_visits.items": near,
        "co_visits.counts": torch.from_numpy(random.random((ITEMS, 4), np.float32) * 3),
        "co_visits.factors": torch.from_numpy(random.random((ITEMS, 4), np.float32)),
        "texts.items": (torch.arange(ITEMS)[:, None] + 1) % ITEMS,
        "texts.counts": torch.full((ITEMS, 1), 0.3),
        "texts.factors": torch.ones(ITEMS, 1),
    }
    config = {"neighbours": 3, "text_neighbours": 1, "window": 2, "decay": 0.7, "backward": 0.4}

    def make(kind: str = "dot", shake: bool = True, **changes) -> tuple[CooccurrenceGenerator, CooccurrenceReward]:
        networks = make_generator(**changes), make_reward(kind)
        wrapped = wrap(config, *networks, tables, catalogue.codes)
        return tuple(shaken(network, 5) for network in wrapped) if shake else wrapped

    return make


@pytest.fixture
def histories() -> tuple[torch.Tensor, torch.Tensor]:
    """Five histories of 1 to 7 items (B, H) with their lengths (B,); the padding holds arbitrary items."""
    random = torch.Generator().manual_seed(1)
    return torch.randint(ITEMS, (5, 7), generator=random), torch.tensor([7, 3, 1, 5, 7])
