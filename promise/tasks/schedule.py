"""The optimiser and its learning-rate schedule: AdamW, linear warm-up, cosine decay to zero."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


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
) -> tuple[AdamW, LambdaLR]:
    """AdamW (betas .9, .98) that decays matrices and tables but no gain or bias, with its schedule per step."""
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    warmup = min(warmup_steps, max(1, total_steps // 10))
    return optimizer, LambdaLR(optimizer, lambda step: cosine_factor(step, warmup, total_steps))
