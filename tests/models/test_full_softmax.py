"""The loss over the whole catalogue: torch's own cross-entropy and its gradients, whatever is held at once."""

import pytest
import torch
from torch.nn import functional as F

from promise.models import full_softmax
from promise.models.full_softmax import Additions, full_softmax_loss, sampled_softmax_loss

ROWS, ITEMS, DIM = 23, 40, 8


def drawn(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    users, table = (torch.randn(count, DIM).mul_(scale).requires_grad_() for count in (ROWS, ITEMS))
    return users, table, torch.randint(ITEMS, (ROWS,))


@pytest.mark.parametrize("at_once", [1, 3 * ITEMS, ROWS * ITEMS, 1 << 20])
@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
def test_loss_and_gradients_are_those_of_cross_entropy(at_once, scale, monkeypatch):
    monkeypatch.setitem(full_softmax.AT_ONCE, "cpu", 4 * at_once)
    users, table, targets = drawn(scale)
    expected = F.cross_entropy(users @ table.T, targets)
    slopes = torch.autograd.grad(3 * expected, (users, table))
    found = full_softmax_loss(users, table, targets)
    assert torch.allclose(found, expected, rtol=1e-5)
    for one, other in zip(torch.autograd.grad(3 * found, (users, table)), slopes, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("at_once", [3 * ITEMS, 1 << 20])
def test_additions_and_their_gradients(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(full_softmax.AT_ONCE, "cpu", 4 * at_once)
    users, table, targets = drawn()
    items = torch.tensor([[3, 7, 3], [0, 39, 5]])  # one occurs twice
    owners = torch.arange(ROWS) % 2
    terms = torch.randn(ROWS, 3, requires_grad=True)
    expected = F.cross_entropy((users @ table.T).scatter_add(1, items[owners], terms), targets)
    slopes = torch.autograd.grad(3 * expected, (users, table, terms))
    found = full_softmax_loss(users, table, targets, Additions(items, owners, terms))
    assert torch.allclose(found, expected, rtol=1e-5)
    for one, other in zip(torch.autograd.grad(3 * found, (users, table, terms)), slopes, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_products_are_in_the_precision_of_autocast() -> None:
    users, table, targets = drawn()
    exact = full_softmax_loss(users, table, targets)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = full_softmax_loss(users, table, targets)
    assert mixed.dtype == torch.float32 and mixed != exact
    assert mixed.item() == pytest.approx(exact.item(), rel=0.02)
    for one, other in zip(
        torch.autograd.grad(mixed, (users, table)), torch.autograd.grad(exact, (users, table)), strict=True
    ):
        assert one.dtype == torch.float32 and torch.allclose(one, other, atol=0.02 * other.abs().max().item())


@pytest.mark.parametrize("at_once", [1, 3 * ITEMS, 1 << 20])
@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_sampled_loss_and_its_gradients(at_once, scale, corrected, monkeypatch):
    monkeypatch.setitem(full_softmax.AT_ONCE, "cpu", 4 * at_once)
    users, table, chosen = drawn(scale)
    positives = torch.randn(ROWS, DIM, requires_grad=True)
    nodes = torch.randint(ITEMS, (ITEMS,))  # with replacement: some repeat, and some are a target's positive
    log_expected = torch.randn(ITEMS) if corrected else None
    scores = users @ table.T - (log_expected if log_expected is not None else 0)
    scores = scores.masked_fill(chosen[:, None] == nodes, -torch.inf)
    own = (users * positives).sum(1, keepdim=True)
    expected = F.cross_entropy(torch.cat((own, scores), 1), torch.zeros(ROWS, dtype=torch.long))
    weights = (users, positives, table)
    slopes = torch.autograd.grad(3 * expected, weights)
    found = sampled_softmax_loss(users, positives, table, chosen, nodes, log_expected)
    assert torch.allclose(found, expected, rtol=1e-5)
    for one, other in zip(torch.autograd.grad(3 * found, weights), slopes, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
