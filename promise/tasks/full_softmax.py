"""Cross-entropy over the whole catalogue, a few rows of scores at a time."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Scores held at once: on a CPU what stays in its cache (4 MiB), elsewhere what keeps the device busy.
SCORES_AT_ONCE = {"cpu": 1 << 20}
OTHERWISE = 1 << 27


class FullSoftmax(torch.autograd.Function):
    """Mean cross-entropy of targets against all items.

    The gradients are made on the way, while the scores of a few rows are still at hand: R x I scores never stand in
    memory, where writing and reading them would take longer than all products (on two cores twice as long).
    """

    @staticmethod
    def forward(ctx: Any, users: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        device = users.device.type
        mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if mixed else users.dtype
        with torch.autocast(device, enabled=False):
            rows, vectors = users.to(dtype), table.to(dtype)
            count, items = len(users), len(table)
            of_users, of_table = torch.empty_like(users), torch.zeros_like(table)
            loss = torch.zeros((), device=users.device)
            step = max(1, SCORES_AT_ONCE.get(device, OTHERWISE) // items)
            for first in range(0, count, step):
                part = slice(first, first + step)
                scores = (rows[part] @ vectors.T).float()  # (r, I)
                scores -= scores.amax(1, keepdim=True)
                chosen = targets[part].unsqueeze(1)
                of_target = scores.gather(1, chosen)
                total = scores.exp_().sum(1, keepdim=True)
                loss += (total.log() - of_target).sum()
                scores /= total * count
                scores.scatter_add_(1, chosen, torch.full_like(of_target, -1 / count))
                slopes = scores.to(dtype)  # of the loss, by score
                of_users[part] = slopes @ vectors
                of_table += slopes.T @ rows[part]
        ctx.save_for_backward(of_users, of_table)
        return loss / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None]:
        of_users, of_table = ctx.saved_tensors
        return of_users * slopes[0], of_table * slopes[0], None


def full_softmax_loss(users: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats of the true items against all others, mean over targets.

    Args:
        users: States (R, D), one per target; their products with the table are the scores.
        table: Item vectors (I, D).
        targets: (R,) item indices, R >= 1.

    Returns:
        A scalar, float32.
    """
    return FullSoftmax.apply(users, table, targets)
