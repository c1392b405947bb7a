"""The search beside the machine's own limit: its fastest matrix product."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig

from promise.bench.measure import TYPES, Measure, Measurement, clocked, interleaved, type_name
from promise.bench.worlds import draw_users, searching, sizes, world

#: Products (rows, inner, columns) of which the fastest is called the machine's peak; the last ones are a search's own.
_PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 1024), (3200, 256, 1024), (3200, 1024, 256))


def peak(cfg: DictConfig) -> Iterator[Measure]:
    """Share of the fastest matrix product that plain search with the generator `base` reaches, by type of number."""
    s = sizes(cfg)
    device, width = cfg.bench.device, s.width
    ours = world(s.items, s.history, [f"generator={s.peak_generator}"], device=device)
    users = draw_users(s.batch, s.items, s.history, device)
    search = ours.search("plain", width=width)
    flops = search.rank(users, width).cost.flops

    functions = {suffix: searching(search, users, s.batch, width, dtype) for suffix, dtype in TYPES.items()}
    timings = interleaved(functions, cfg.bench.repeats)
    note = f"W={width}, generator={s.peak_generator}, {s.items:,} items, batch {s.batch}"
    for suffix, dtype in TYPES.items():
        most = matmul_peak(dtype, device, cfg.bench.quick)
        shares = sorted(flops / seconds / most for seconds in timings[suffix].seconds)
        goal = None if suffix else 0.35 if device == "cpu" else 0.30
        rate, said = flops / timings[suffix].median, f"{note}; beside the fastest matrix product"
        fields: Any = {"goal": goal, "low": shares[0], "high": shares[-1], "note": said, "dtype": type_name(dtype)}
        yield Measure(f"matmul_share{suffix}", "GFLOP/s", rate / 1e9, most / 1e9, rate / most, **fields)


def matmul_peak(dtype: torch.dtype, device: str, quick: bool = False) -> float:
    """FLOP/s of the fastest of several matrix products, large ones and those of a search."""
    best = 0.0
    for rows, inner, columns in ((128, 128, 128),) if quick else _PRODUCTS:
        left = torch.randn(rows, inner, device=device).to(dtype)
        right = torch.randn(inner, columns, device=device).to(dtype)
        product = partial(torch.mm, left, right)
        best = max(best, 2 * rows * inner * columns / min(clocked(product) for _ in range(8)))
    return best


MEASURES: dict[str, Measurement] = {"peak": peak}
