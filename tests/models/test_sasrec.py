"""SASRec: the textbook transformer, who sees what, long histories, the tied table, first predictions, errors."""

import math
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from promise.models.flops import SASRecFlops
from promise.models.sasrec import SASRec
from tests.models.conftest import DIM, ITEMS, shaken

HISTORY = 7


def network(shake: bool = True, **changes: Any) -> SASRec:
    torch.manual_seed(0)
    made = SASRec(
        **{"dim": DIM, "blocks": 2, "heads": 2, "dropout": 0.3, "history": HISTORY, **changes}, item_count=ITEMS
    )
    return shaken(made, 0) if shake else made.eval()


def norm(x: list[float], gains: list[float]) -> list[float]:
    size = math.sqrt(sum(value * value for value in x) / len(x) + torch.finfo(torch.float32).eps)
    return [gain * value / size for value, gain in zip(x, gains, strict=True)]


def product(matrix: list[list[float]], x: list[float]) -> list[float]:
    return [sum(weight * value for weight, value in zip(row, x, strict=True)) for row in matrix]


def plus(*vectors: list[float]) -> list[float]:
    return [sum(values) for values in zip(*vectors, strict=True)]


def textbook(sasrec: SASRec, history: list[int]) -> list[list[float]]:
    """States (H, D) with loops over positions, heads and features."""
    weights = {name: value.tolist() for name, value in sasrec.state_dict().items()}
    xs = [plus(weights["items.weight"][item], weights["positions.weight"][t]) for t, item in enumerate(history)]
    heads, each = 2, DIM // 2
    for block in range(2):
        own = {name.removeprefix(f"encoder.{block}."): value for name, value in weights.items()}
        normed = [norm(x, own["norms.0.weight"]) for x in xs]
        queries = [product(own["attention.query.weight"], x) for x in normed]
        pairs = [product(own["attention.key_value.weight"], x) for x in normed]
        mixed = []
        for t, query in enumerate(queries):
            row: list[float] = []
            for head in range(heads):
                part = slice(head * each, (head + 1) * each)
                values = slice(DIM + part.start, DIM + part.stop)
                dots = [sum(q * k for q, k in zip(query[part], pair[part], strict=True)) for pair in pairs[: t + 1]]
                shares = [math.exp(dot / math.sqrt(each)) for dot in dots]
                scaled = [[s / sum(shares) * v for v in pair[values]] for s, pair in zip(shares, pairs, strict=False)]
                row += plus(*scaled)
            mixed.append(product(own["attention.out.weight"], row))
        xs = [plus(x, y) for x, y in zip(xs, mixed, strict=True)]
        for t, x in enumerate(xs):
            hidden = plus(
                product(own["feed_forward.0.weight"], norm(x, own["norms.1.weight"])), own["feed_forward.0.bias"]
            )
            bent = [value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in hidden]
            xs[t] = plus(x, product(own["feed_forward.2.weight"], bent), own["feed_forward.2.bias"])
    return [norm(x, weights["norm.weight"]) for x in xs]


@torch.no_grad()
def test_states_and_scores_are_the_textbooks() -> None:
    sasrec = network()
    for history in ([3], [5, 5, 9], [0, 29, 1, 7, 7, 2, 13]):
        states = sasrec.states(torch.tensor([history]))[0]
        expected = textbook(sasrec, history)
        assert torch.allclose(states, torch.tensor(expected), atol=1e-4)
        users = sasrec.encode(torch.tensor([history]), torch.tensor([len(history)]))
        scores = product(sasrec.items.weight.tolist(), expected[-1])
        assert sasrec.scores(users)[0].tolist() == pytest.approx(scores, abs=1e-3)


@torch.no_grad()
def test_no_state_sees_a_later_item(histories: Any) -> None:
    sasrec, history = network(), histories[0]
    before = sasrec.states(history)
    for t in range(1, HISTORY):
        changed = history.clone()
        changed[:, t:] = (changed[:, t:] + 11) % ITEMS
        after = sasrec.states(changed)
        assert torch.allclose(before[:, :t], after[:, :t], atol=1e-5)
        assert not torch.allclose(before[:, t:], after[:, t:], atol=1e-2)


@torch.no_grad()
def test_users_are_the_states_of_their_newest_items_alone_or_in_a_batch() -> None:
    sasrec = network()
    history, lengths = torch.randint(ITEMS, (4, 12)), torch.tensor([12, 4, 9, 1])
    users = sasrec.encode(history, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = history[row : row + 1, max(0, length - HISTORY) : length]
        assert torch.allclose(users[row], sasrec.states(own)[0, -1], atol=1e-5)
        assert torch.allclose(users[row], sasrec.encode(own, lengths[row : row + 1].clamp_max(HISTORY))[0], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, HISTORY])
def test_flops_are_those_that_torch_counts(length: int) -> None:
    sasrec = network()
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    mapping = {kernel: lambda query, key, value, *_, **__: sdpa_flop_count(query, key, value)}
    history, lengths = torch.randint(ITEMS, (3, length)), torch.full((3,), length)
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        users = sasrec.encode(history, lengths)
    assert counter.get_total_flops() == pytest.approx(sasrec.flops.encode([length] * 3), rel=0.02)
    with FlopCounterMode(display=False) as counter:
        sasrec.scores(users)
    assert counter.get_total_flops() == sasrec.flops.score([length] * 3, ITEMS)
    assert sasrec.flops == SASRecFlops(DIM, 2)


@pytest.mark.parametrize("length", [0, 2])
def test_empty_histories_and_unknown_items_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"a history (holds no item|names item 30)"):
        network().encode(torch.tensor([[1, ITEMS]]), torch.tensor([length]))
