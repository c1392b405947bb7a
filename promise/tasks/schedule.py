"""The optimiser and its learning-rate schedule: AdamW, lazy on large tables, linear warm-up, cosine decay to zero."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

#: Steps between passes over whole tables with sparse gradients: their decay, and the running mean of all weights.
LAZY_STEPS = 32


class LazyAdamW(AdamW):
    """AdamW that touches, of a table with sparse gradients, only the rows that a step used.

    Such a row moves as under AdamW with a first moment of one step (beta_1 = 0): between its gradients, which are rare,
    a longer moment would only spread the same movement over the steps in between. Its second moment decays by the steps
    since its last gradient, and the whole table by weight decay every `LAZY_STEPS` steps.

    Args:
        groups: Parameter groups with their `weight_decay`.
        lr: Learning rate.
        betas: Decay of both moments.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, lr=lr, betas=betas, fused=True)
        self._step_supports_amp_scaling = False  # gradients are clipped, and so unscaled before the step

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; see `torch.optim.AdamW`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None and table.grad.is_sparse:
                    self._step_rows(table, table.grad.coalesce(), group)
                    table.grad = None
        super().step()
        return loss

    def _step_rows(self, table: Tensor, slope: Tensor, group: dict[str, Any]) -> None:
        """Move the rows of a table that have a gradient."""
        rows, slopes = slope.indices()[0], slope.values()  # (n,), (n, D)
        state, beta = self.state[table], group["betas"][1]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["decay"] = torch.zeros((), dtype=torch.float32)  # log of the weight decay that is due
            state["last"] = table.new_zeros(len(table))  # step of each row's last gradient; a checkpoint keeps the type
            state["exp_avg_sq"] = torch.zeros_like(table)
        state["step"] += 1
        step = int(state["step"])
        state["decay"] += math.log1p(-group["lr"] * group["weight_decay"])
        if step % LAZY_STEPS == 0:
            table.mul_(float(state["decay"].exp()))
            state["decay"].zero_()
        kept = beta ** (step - state["last"][rows])
        moment = state["exp_avg_sq"][rows].mul_(kept[:, None]).addcmul_(slopes, slopes, value=1 - beta)
        state["last"][rows] = step
        state["exp_avg_sq"][rows] = moment
        moment = (moment / (1 - beta**step)).sqrt_().add_(group["eps"])
        table.index_add_(0, rows, slopes / moment, alpha=-group["lr"])


def make_sparse(network: nn.Module, rows: int | None) -> bool:
    """Let tables of at least so many rows have sparse gradients; whether there are any. None = none."""
    tables = [m for m in network.modules() if isinstance(m, nn.Embedding) and m.weight.requires_grad]
    for table in tables:
        table.sparse = rows is not None and table.num_embeddings >= rows
    return any(table.sparse for table in tables)


def clip(parameters: Iterable[nn.Parameter], most: float, algorithm: str = "norm") -> None:
    """Clip gradients, dense and sparse ones, in place.

    Args:
        parameters: Their owners.
        most: The largest norm of all together, or the largest value.
        algorithm: `norm` or `value`.
    """
    gradients = []
    for weight in parameters:
        if weight.grad is not None:
            if weight.grad.is_sparse:
                weight.grad = weight.grad.coalesce()
            gradients.append(weight.grad.values() if weight.grad.is_sparse else weight.grad)
    if algorithm == "value":
        torch._foreach_clamp_min_(gradients, -most)
        torch._foreach_clamp_max_(gradients, most)
        return
    norm = nn.utils.get_total_norm(gradients)
    torch._foreach_mul_(gradients, torch.clamp(most / (norm + 1e-6), max=1.0))


def cosine_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Share of the peak learning rate at a step, in [0, 1].

    >>> [round(cosine_factor(s, 2, 6), 3) for s in range(7)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def adamw(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    weight_decay: float,
    warmup_steps: int,
    total_steps: int,
) -> tuple[LazyAdamW, LambdaLR]:
    """AdamW (betas .9, .98) that decays matrices and tables but no gain or bias, with its schedule per step."""
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = LazyAdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    warmup = min(warmup_steps, max(1, total_steps // 10))
    return optimizer, LambdaLR(optimizer, lambda step: cosine_factor(step, warmup, total_steps))
