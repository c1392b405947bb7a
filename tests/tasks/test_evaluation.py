"""The evaluator: ranks against a plain recount, what is counted as broken, drift, order, short lists."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.data.batch import Batch
from promise.metrics.ranking import NOT_RANKED
from promise.search.cost import Cost
from promise.search.protocols import Ranking
from promise.tasks.evaluation import RankingEvaluator


class Script:
    """A ranker that answers from a table (users, k) of items, with made-up scores and costs."""

    def __init__(self, answers: np.ndarray, kept: list[np.ndarray] | None = None, certified: Any = None) -> None:
        self.answers = torch.from_numpy(answers)
        self.certified = certified
        self.kept = [torch.from_numpy(nodes) for nodes in kept or []]
        self.asked: list[int] = []

    def rank(self, batch: Batch, k: int) -> Ranking:
        self.asked.append(k)
        items = self.answers[batch.users, :k]
        scores = torch.where(items == -1, -torch.inf, 1.0 / torch.arange(1, items.shape[1] + 1))
        users = len(batch.users)
        cost = Cost(users, 100 * users, 3 * users, 2 * users, 0.5)
        kept = [nodes[batch.users] for nodes in self.kept]
        certified = None if self.certified is None else self.certified[batch.users]
        return Ranking(items, scores, cost, kept, kept[-1] if kept else None, certified)


@pytest.fixture
def answers(world) -> np.ndarray:
    """(24, 8) distinct items in random order; half of the users have their target, at places 0 to 7 in turn."""
    random = np.random.default_rng(1)
    lists = [random.permutation(30) for _ in range(24)]
    for user in range(0, 24, 2):
        target = world.histories.items[world.histories.offsets[user + 1] - 1]
        there, wanted = lists[user].tolist().index(target), user // 2 % 8
        lists[user][[there, wanted]] = lists[user][[wanted, there]]
    return np.stack(lists)[:, :8]


def test_ranks_are_a_plain_recount(world, answers, lightning):
    found = world.result(RankingEvaluator(8, ranker=(script := Script(answers)), item_count=30))
    targets = [int(world.histories.items[end - 1]) for end in world.histories.offsets[1:]]
    assert set(script.asked) == {8}
    assert found.users.tolist() == list(range(24))
    assert found.targets.tolist() == targets
    assert found.items.tolist() == answers.tolist()
    ranks = [list(row).index(t) if t in row else NOT_RANKED for row, t in zip(answers, targets, strict=True)]
    assert found.ranks.tolist() == ranks
    assert {0, 1, 2, 5, NOT_RANKED} <= set(ranks)
    assert (found.invalid_rate, found.duplicate_rate) == (0, 0)
    assert found.hrecall == []
    batches = len(script.asked)
    assert found.cost == Cost(24, 2400, 72, 48, 0.5 * batches)


def test_hrecall_is_a_plain_recount(world, answers, lightning):
    random = np.random.default_rng(2)
    kept = [random.integers(-1, nodes, (24, 3)) for nodes in world.trie.nodes[1:]]
    found = world.result(RankingEvaluator(8, ranker=Script(answers, kept), item_count=30, trie=world.trie))
    for depth in (1, 2, 3):
        nodes = world.trie.item_nodes(depth)[torch.from_numpy(found.targets)].tolist()
        hits = sum(node in row for node, row in zip(nodes, kept[depth - 1].tolist(), strict=True))
        assert found.hrecall[depth - 1] == pytest.approx(hits / 24)
        assert found.kept is not None and found.kept[:, depth - 1].tolist() == [
            node in row for node, row in zip(nodes, kept[depth - 1].tolist(), strict=True)
        ]
    assert found.hrecall[0] > 0
    assert found.shares == {"recall_ceiling": pytest.approx(found.hrecall[-1])}


def test_more_is_asked_for_than_is_kept_and_certificates_are_counted(world, answers, lightning):
    script = Script(answers, certified=torch.arange(24) < 6)
    found = world.result(RankingEvaluator(3, ranker=script, item_count=30, depth=8))
    assert set(script.asked) == {8} and found.items.tolist() == answers[:, :3].tolist()
    assert found.shares == {"certified": 0.25} and ((found.ranks < 8) & (found.ranks >= 3)).any()


def test_a_broken_ranker_is_counted_and_not_believed(world, lightning):
    random = np.random.default_rng(4)
    answers = random.integers(-3, 34, (24, 8))  # repeats, negative numbers, items that don't exist, gaps
    found = world.result(RankingEvaluator(8, ranker=Script(answers), item_count=30))
    returned = invalid = duplicate = 0
    for row in answers.tolist():
        entries = [item for item in row if item != -1]
        returned += len(entries)
        invalid += sum(not 0 <= item < 30 for item in entries)
        duplicate += sum(item in entries[:place] for place, item in enumerate(entries))
    assert invalid and duplicate
    assert found.invalid_rate == pytest.approx(invalid / returned)
    assert found.duplicate_rate == pytest.approx(duplicate / returned)


def test_no_answer_at_all_is_no_division_by_zero_and_no_beams_are_no_hrecall(world, lightning):
    task = RankingEvaluator(5, ranker=Script(np.full((24, 5), -1)), item_count=30, trie=world.trie)
    found = world.result(task)
    assert (found.invalid_rate, found.duplicate_rate) == (0, 0) and (found.ranks == NOT_RANKED).all()
    assert (found.hrecall, found.kept) == ([], None)


def test_lists_shorter_than_k_stay_short(world, lightning):
    generator, reward = world.generator().eval(), world.reward().eval()
    ranker = world.ranker(generator, reward, width=3)
    found = world.result(RankingEvaluator(20, ranker=ranker, item_count=30, trie=world.trie))
    assert found.items.shape == found.scores.shape == (24, 3)
    assert (found.items >= 0).all()
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert found.scores.dtype == np.float32


def test_batches_of_other_lengths_are_filled_up(world, lightning):
    class Ragged(Script):
        def rank(self, batch: Batch, k: int) -> Ranking:
            answer = super().rank(batch, k)
            width = 2 + len(batch.users) % 4
            return answer._replace(items=answer.items[:, :width], scores=answer.scores[:, :width])

    answers = np.tile(np.arange(8), (24, 1))
    found = world.result(RankingEvaluator(8, ranker=Ragged(answers), item_count=30), evaluation_batch_size=5)
    widths = (found.items >= 0).sum(1)
    assert len(set(widths.tolist())) == 2
    assert found.items.shape[1] == widths.max()
    assert ((found.items == -1) == (found.scores == -np.inf)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda answer: None, "Odd.rank must give a Ranking, got NoneType"),
        (lambda answer: tuple(answer), "Odd.rank must give a Ranking, got tuple"),
        (
            lambda answer: answer._replace(items=answer.items.numpy()),
            r"items of Odd.rank .* \(24, 8\), got ndarray",
        ),
        (
            lambda answer: answer._replace(items=answer.items[0]),
            r"items of Odd.rank .* \(24, 8\), got shape \(8,\)",
        ),
        (
            lambda answer: answer._replace(scores=answer.scores[:, :3]),
            r"scores of Odd.rank .* got .*\(24, 3\)",
        ),
    ],
)
def test_what_is_no_ranking_is_refused(world, answers, lightning, change, message):
    class Odd(Script):
        def rank(self, batch: Batch, k: int) -> Ranking:
            return change(super().rank(batch, k))

    with pytest.raises(ValueError, match=f"^{message}$"):
        world.result(RankingEvaluator(8, ranker=Odd(answers), item_count=30), evaluation_batch_size=24)
