"""The networks of `promise.models` keep what the protocols promise: in search they say what they say in training."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward
from promise.search.beams import allowed_log_softmax
from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows, split
from promise.search.rankers.exhaustive import ExhaustiveSearch

SIZES = (4, 1, 5, 3)
HISTORY = 4


@pytest.fixture(scope="module")
def trie() -> Trie:
    every = np.array(list(itertools.product(*map(range, SIZES))))
    return Trie(np.random.default_rng(0).permutation(every)[:25], SIZES)


@pytest.fixture(scope="module", params=["causal", "bidirectional"])
def generator(request: pytest.FixtureRequest, trie: Trie) -> Generator:
    torch.manual_seed(0)
    codes = trie.prefixes(trie.levels)[trie.item_nodes(trie.levels)]
    made = Generator(8, 2, 2, 2, 0.1, HISTORY, request.param, True, False, codes=codes, level_sizes=SIZES)
    return loud(made)


@pytest.fixture(scope="module", params=["dot", "cross_attention"])
def reward(request: pytest.FixtureRequest, trie: Trie) -> DotReward | CrossAttentionReward:
    torch.manual_seed(1)
    given: dict[str, Any] = {
        "user_dim": 8,
        "prefixes": [trie.prefixes(depth) for depth in range(1, trie.levels + 1)],
        "level_sizes": SIZES,
    }
    if request.param == "dot":
        return loud(DotReward(8, "full", 12.0, 0.1, False, **given))
    return loud(CrossAttentionReward(4, 2, 1, "full", 0.1, False, **given))


def loud(network: Any) -> Any:
    """Weights far from uniform predictions, no dropout."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(10 if parameter.dim() > 1 else 1)
    return network.eval()


@pytest.fixture(scope="module")
def batch(drawn: Any, trie: Trie) -> Any:
    """Histories shorter and longer than the generator reads."""
    history = torch.randint(trie.items, (5, 7), generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([1, 3, 4, 5, 7])
    return type(drawn.batch)(history.masked_fill(torch.arange(7) >= lengths[:, None], 0), lengths)


@torch.no_grad()
def exact_log_probs(generator: Generator, trie: Trie, batch: Any) -> torch.Tensor:
    """(B, I) by teacher forcing, one call per user and item: no cache, no shared beams."""
    codes = trie.prefixes(trie.levels)[trie.item_nodes(trie.levels)]
    result = torch.zeros(len(batch.history), trie.items)
    for user, item in itertools.product(range(len(batch.history)), range(trie.items)):
        length = int(batch.lengths[user])
        users = generator.encode(batch.history[user : user + 1, :length], batch.lengths[user : user + 1])
        last = torch.tensor([[min(length, HISTORY) - 1]])
        for depth, logits in enumerate(generator.teacher_forced(users, last, codes[item].view(1, 1, -1))):
            node = trie.item_nodes(depth)[item]
            allowed = logits[0, 0].masked_fill(~trie.allowed(depth, node), -torch.inf)
            result[user, item] += allowed.log_softmax(0)[codes[item, depth]]
    return result


def test_cached_decoding_is_teacher_forcing(generator: Generator, trie: Trie, batch: Any) -> None:
    exact = exact_log_probs(generator, trie, batch)
    for search in (
        GuidedSearch(25, 1, None, 0.0, 1.0, generator=generator, reward=None, trie=trie),
        ExhaustiveSearch(0.0, 1.0, generator=generator, reward=None, trie=trie),
    ):
        ranking = search.rank(batch, 25)
        assert torch.equal(ranking.items.sort().values, torch.arange(25).expand(5, -1))
        torch.testing.assert_close(ranking.scores, exact.gather(1, ranking.items), atol=1e-4, rtol=1e-4)
    assert exact.std() > 0.1
    narrow = GuidedSearch(3, 1, None, 0.0, 1.0, generator=generator, reward=None, trie=trie)
    ranking = narrow.rank(batch, 3)  # beams are cut and re-ordered: the caches must follow their parents
    torch.testing.assert_close(ranking.scores, exact.gather(1, ranking.items), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_score_is_score_all_gathered(
    generator: Generator, reward: DotReward | CrossAttentionReward, trie: Trie, batch: Any
) -> None:
    context = reward.start(generator.encode(*batch))
    for depth in range(1, trie.levels + 1):
        nodes = torch.randint(trie.nodes[depth], (5, 9), generator=torch.Generator().manual_seed(depth))
        every = reward.score_all(context, depth)
        assert every.shape == (5, trie.nodes[depth])
        torch.testing.assert_close(reward.score(context, depth, nodes), every.gather(1, nodes), atol=1e-5, rtol=1e-5)


def test_guided_and_exhaustive_agree(
    generator: Generator, reward: DotReward | CrossAttentionReward, trie: Trie, batch: Any
) -> None:
    for weight, remove_seen in itertools.product((0.5, 1.0), (False, True)):
        given: dict[str, Any] = {"generator": generator, "reward": reward, "trie": trie, "remove_seen": remove_seen}
        wide = GuidedSearch(25, 1, None, weight, 2.0, **given).rank(batch, 10)
        exact = ExhaustiveSearch(weight, 2.0, **given).rank(batch, 10)
        assert torch.equal(wide.items, exact.items)
        torch.testing.assert_close(wide.scores, exact.scores, atol=1e-4, rtol=1e-4)


def test_half_precision_keeps_the_log_probs_in_float32(generator: Generator, trie: Trie, batch: Any) -> None:
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        cache = generator.start(generator.encode(*batch))
        root = torch.zeros(5, 1, dtype=torch.int64)
        logits, _ = generator.next_code(cache, root, root)
        assert allowed_log_softmax(logits, trie.children_of(0, root)).dtype == torch.float32
        search = GuidedSearch(4, 1, None, 0.0, 1.0, generator=generator, reward=None, trie=trie)
        assert search.rank(batch, 4).scores.dtype == torch.float32


def test_a_batch_comes_in_parts_and_an_empty_one_is_refused() -> None:
    batch = UserRows(torch.arange(10).view(5, 2), torch.full((5,), 2))
    parts = list(split(batch, 2))
    assert [(rows.start, users.history.tolist()) for rows, users in parts] == [
        (0, [[0, 1], [2, 3]]), (2, [[4, 5], [6, 7]]), (4, [[8, 9]]),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"^a batch must hold at least one user, got 0$"):
        next(split(UserRows(batch.history[:0], batch.lengths[:0]), 2))
