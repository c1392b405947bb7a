"""Examples that run: networks that promise has neither made nor trained are searched through the two protocols."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from promise import GuidedSearch, Trie
from promise.search.explanation import explained
from promise.search.protocols import UserRows

ITEMS, DIM = 30, 8
CODES = np.array([[item % 3, item // 3 % 4, item] for item in range(ITEMS)])
USERS = UserRows(torch.tensor([[4, 7, 11], [2, 2, 0]]), torch.tensor([3, 2]))


# --8<-- [start:networks]
class Free:
    """Counts no FLOPs: whoever wants costs in a table writes down formulas here."""

    def encode(self, history: Sequence[int]) -> int:
        return 0

    start = encode

    def next_code(self, history: Sequence[int], rows: Any, level: int) -> int:
        return 0

    def score(self, history: Sequence[int], paths: Any) -> int:
        return 0


class CodeGRU(nn.Module):
    """Any module: a user is the mean of the items, a path the state of a GRU that read its codes."""

    flops, history, row_bytes = Free(), 50, 4 * DIM

    def __init__(self, items: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.items, self.cell = nn.Embedding(items, DIM), nn.GRUCell(DIM, DIM)
        self.codes = nn.ModuleList(nn.Embedding(size, DIM) for size in sizes)
        self.heads = nn.ModuleList(nn.Linear(DIM, size) for size in sizes)

    def encode(self, history: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(history.shape[1]) < lengths[:, None]
        return (self.items(history) * real[..., None]).sum(1) / lengths[:, None]  # (B, D)

    def start(self, users: Tensor) -> tuple[int, Tensor]:
        return 0, users[:, None]

    def next_code(
        self, cache: tuple[int, Tensor], parents: Tensor, codes: Tensor, active: Tensor | None = None
    ) -> tuple[Tensor, tuple[int, Tensor]]:
        depth, states = cache  # (B, W before, D)
        states = states.gather(1, parents[..., None].expand(-1, -1, DIM))
        if depth:
            read = self.codes[depth - 1](codes)
            states = self.cell(read.flatten(0, 1), states.flatten(0, 1)).view_as(states)
        return self.heads[depth](states), (depth + 1, states)


class BestBelow:
    """A reward in five lines: a path is worth as much as the best item that it can still reach."""

    flops, path_bytes = Free(), 8

    def __init__(self, trie: Trie, worth: Tensor) -> None:
        nodes = [trie.item_nodes(depth) for depth in range(trie.levels + 1)]
        self.best = [
            torch.zeros(int(n.max()) + 1).scatter_reduce(0, n, worth, "amax", include_self=False) for n in nodes
        ]

    def start(self, users: Any) -> None:
        return None

    def score(self, context: None, depth: int, nodes: Tensor) -> Tensor:
        return self.best[depth][nodes]

    def score_all(self, context: None, depth: int) -> Tensor:
        return self.best[depth].expand(len(USERS.history), -1)


# --8<-- [end:networks]
def network() -> tuple[CodeGRU, Trie]:
    torch.manual_seed(0)
    sizes = (CODES.max(0) + 1).tolist()
    return CodeGRU(ITEMS, sizes), Trie(CODES, sizes)


def test_a_network_of_ones_own_is_searched() -> None:
    """All beams kept, the search ranks by the probabilities that a loop over all items finds."""
    model, trie = network()
    found = GuidedSearch(width=ITEMS, generator=model, reward=None, trie=trie).rank(USERS, ITEMS)
    expected = torch.zeros(2, ITEMS)
    with torch.no_grad():
        for item, path in enumerate(CODES):
            cache, code = model.start(model.encode(*USERS)), torch.zeros(2, 1, dtype=torch.int64)
            for depth, own in enumerate(path):
                logits, cache = model.next_code(cache, torch.zeros_like(code), code)
                siblings = sorted({int(other[depth]) for other in CODES if (other[:depth] == path[:depth]).all()})
                expected[:, item] += logits[:, 0, siblings].log_softmax(-1)[:, siblings.index(own)]
                code = torch.full_like(code, int(own))
    best, order = expected.sort(descending=True)
    assert torch.equal(found.items, order) and torch.allclose(found.scores, best, atol=1e-5)


def test_a_reward_of_ones_own_guides() -> None:
    """One beam is enough to find the worthiest item, whatever the generator thinks of it."""
    model, trie = network()
    for favourite in range(ITEMS):
        reward = BestBelow(trie, (torch.arange(ITEMS) == favourite).float())
        search = GuidedSearch(width=1, candidates=ITEMS, weight=1.0, generator=model, reward=reward, trie=trie)
        assert search.rank(USERS, 1).items.tolist() == [[favourite], [favourite]]


def test_lists_and_accounts_of_own_networks() -> None:
    model, trie = network()
    reward = BestBelow(trie, torch.arange(ITEMS).float())
    # --8<-- [start:search]
    search = GuidedSearch(
        width=5, candidates=20, weight=0.5, generator=model, reward=reward, trie=trie,
        deny=[7, 8], remove_seen=True,
    )  # fmt: skip
    answer = search.rank(USERS, k=3)  # answer.items (B, 3), answer.scores (B, 3), answer.cost
    one = UserRows(USERS.history[:1], USERS.lengths[:1])
    levels = explained(search, one, item=29)  # per level: probability, reward, rank, kept or lost
    # --8<-- [end:search]
    assert not {4, 7, 8, 11} & set(answer.items[0].tolist())
    assert [row["reward"] for row in levels] == [29.0, 29.0, 29.0] and [row["level"] for row in levels] == [1, 2, 3]


def test_what_own_networks_lack_or_spread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, trie = network()
    reward: Any = BestBelow(trie, torch.ones(ITEMS))
    with pytest.raises(
        ValueError, match=r"^the reward model Linear lacks flops, path_bytes, start, score: see promise\."
    ):
        GuidedSearch(width=5, weight=1.0, generator=model, reward=nn.Linear(1, 1), trie=trie)  # type: ignore[arg-type]
    search = GuidedSearch(width=2, candidates=4, weight=1.0, generator=model, reward=reward, trie=trie)
    reward.score = lambda context, depth, nodes: torch.ones(nodes.shape[1])
    with pytest.raises(ValueError, match=r"^rewards at level 1 must be a tensor of shape \(2, 3\), got shape \(3,\)$"):
        search.rank(USERS, 1)
    for answer, got in ((torch.zeros(2, 1, 3), "Tensor"), ((1, 2, 3), "3 things")):  # two rows are no two things
        with monkeypatch.context() as patch:
            patch.setattr(model, "next_code", lambda *_, answer=answer: answer)
            with pytest.raises(ValueError, match=f"^next_code must give logits and the cache .*, got {got}$"):
                search.rank(USERS, 1)
    model.heads[0] = nn.Linear(DIM, 7)
    with pytest.raises(ValueError, match=r"^logits of the next code must be .* \(2, 1, 3\), got shape \(2, 1, 7\)$"):
        search.rank(USERS, 1)
