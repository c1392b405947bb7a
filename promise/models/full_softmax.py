"""Cross-entropy over the whole catalogue or a sample of it, a few rows of scores at a time."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Bytes of scores held at once: on a CPU what is quickest, elsewhere what keeps the device busy.
AT_ONCE = {"cpu": 1 << 23}
OTHERWISE = 1 << 29


class Additions(NamedTuple):
    """Terms that are added to a few scores of every row.

    Attributes:
        items: (U, E) columns of each user; one may occur several times.
        owners: (R,) whose row each is, 0..U-1.
        terms: (R, E) what is added there.
    """

    items: Tensor
    owners: Tensor
    terms: Tensor


def product_type(users: Tensor) -> torch.dtype:
    """The type in which products with users are taken: autocast's, or their own."""
    device = users.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else users.dtype


def parts(rows: Tensor, table: Tensor) -> Iterator[slice]:
    """All of the rows, as many at once as `AT_ONCE` allows their scores against a table."""
    step = max(1, AT_ONCE.get(rows.device.type, OTHERWISE) // max(1, len(table) * rows.element_size()))
    yield from (slice(first, min(len(rows), first + step)) for first in range(0, len(rows), step))


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a total, in place where types allow it: without a copy as large as the total."""
    total.addmm_(left, right) if total.dtype == left.dtype else total.add_(left @ right)


def slopes_of(scores: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of one column of each row: its slopes by score (r, N), in their type, and its sum in float32.

    Args:
        scores: (r, N).
        chosen: (r, 1) columns.
    """
    slopes = torch.softmax(scores, 1)
    share = slopes.gather(1, chosen).float()
    gone = (share[:, 0] == 0).nonzero()[:, 0]  # too small a share for its type, not for its logarithm
    logs = share.log().index_copy_(0, gone, scores[gone].float().log_softmax(1).gather(1, chosen[gone]))
    return slopes.scatter_(1, chosen, (share - 1).to(slopes.dtype)), -logs.sum()


class FullSoftmax(torch.autograd.Function):
    """Mean cross-entropy of targets against all items.

    The gradients are made on the way, while the scores of a few rows are still at hand: R x I scores never stand in
    memory, where writing and reading them would take longer than all products (on two cores twice as long).
    """

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        table: Tensor,
        targets: Tensor,
        terms: Tensor | None,
        items: Tensor | None,
        owners: Tensor | None,
    ) -> Tensor:
        device, dtype = users.device.type, product_type(users)
        with torch.autocast(device, enabled=False):
            rows, vectors = users.to(dtype), table.to(dtype)
            of_users, of_table = torch.empty_like(users), torch.zeros_like(table)
            of_terms = None if terms is None else torch.empty_like(terms)
            loss = torch.zeros((), device=users.device)
            for part in parts(rows, vectors):
                scores = rows[part] @ vectors.T  # (r, I)
                if terms is not None and items is not None and owners is not None:
                    places = items[owners[part]]  # (r, E)
                    scores = scores.float().scatter_add_(1, places, terms[part].float())
                slopes, lost = slopes_of(scores, targets[part].unsqueeze(1))
                loss += lost
                if of_terms is not None:
                    of_terms[part] = slopes.gather(1, places).to(of_terms.dtype)
                slopes = slopes.to(dtype)
                of_users[part] = slopes @ vectors
                add_product(of_table, slopes.T, rows[part])
        ctx.save_for_backward(of_users, of_table, *([] if of_terms is None else [of_terms]))
        return loss / len(users)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        of_users, of_table, *of_terms = (saved * (slopes[0] / len(ctx.saved_tensors[0])) for saved in ctx.saved_tensors)
        return of_users, of_table, None, of_terms[0] if of_terms else None, None, None


def full_softmax_loss(users: Tensor, table: Tensor, targets: Tensor, additions: Additions | None = None) -> Tensor:
    """Cross-entropy in nats of the true items against all others, mean over targets.

    Args:
        users: States (R, D), one per target; their products with the table are the scores.
        table: Item vectors (I, D).
        targets: (R,) item indices, R >= 1.
        additions: What is added to some of the scores.

    Returns:
        A scalar, float32.
    """
    items, owners, terms = additions if additions is not None else (None, None, None)
    return FullSoftmax.apply(users, table, targets, terms, items, owners)


class SampledSoftmax(torch.autograd.Function):
    """Mean cross-entropy of positives against negatives that all rows share; gradients as in `FullSoftmax`."""

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        positives: Tensor,
        table: Tensor,
        chosen: Tensor,
        drawn: Tensor,
        log_expected: Tensor | None,
    ) -> Tensor:
        device, dtype = users.device.type, product_type(users)
        with torch.autocast(device, enabled=False):
            rows, vectors = users.to(dtype), table.to(dtype)
            own = (users * positives).sum(1, keepdim=True)  # (R, 1)
            of_users, slope_of_own = torch.empty_like(users), torch.empty_like(own)
            of_table = torch.zeros_like(table)
            loss = torch.zeros((), device=users.device)
            met = torch.isin(chosen, drawn).nonzero()[:, 0]  # a few rows, if any, have their positive among the drawn
            row, column = (chosen[met, None] == drawn).nonzero().unbind(1)
            row = met[row]
            for part in parts(rows, vectors):
                scores = rows[part] @ vectors.T  # (r, N)
                if log_expected is not None:
                    scores = scores.float() - log_expected
                here = (row >= part.start) & (row < part.stop)
                scores[row[here] - part.start, column[here]] = float("-inf")
                scores = torch.cat((own[part].to(scores.dtype), scores), 1)
                slopes, lost = slopes_of(scores, torch.zeros_like(chosen[part, None]))
                loss += lost
                slope_of_own[part] = slopes[:, :1].to(own.dtype)
                slopes = slopes[:, 1:].to(dtype)
                of_users[part] = slopes @ vectors
                add_product(of_table, slopes.T, rows[part])
            of_users.addcmul_(slope_of_own, positives)
        ctx.save_for_backward(of_users, slope_of_own * users, of_table)
        return loss / len(users)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        return *(saved * (slopes[0] / len(ctx.saved_tensors[0])) for saved in ctx.saved_tensors), None, None, None


def sampled_softmax_loss(
    users: Tensor,
    positives: Tensor,
    table: Tensor,
    chosen: Tensor,
    drawn: Tensor,
    log_expected: Tensor | None = None,
) -> Tensor:
    """Cross-entropy in nats of the true paths against drawn ones, mean over targets.

    Args:
        users: States (R, D), one per target, R >= 1; their products with path vectors are the scores.
        positives: Vectors (R, D) of the true paths.
        table: Vectors (N, D) of the negatives.
        chosen: Nodes (R,) of the true paths.
        drawn: Nodes (N,) of the negatives; where one is a target's true path it does not count for that target.
        log_expected: (N,) what is taken from the score of each negative; None = nothing.

    Returns:
        A scalar, float32.
    """
    return SampledSoftmax.apply(users, positives, table, chosen, drawn, log_expected)
