"""A made-up but plausible sweep, shared by the tests of this folder."""

from collections.abc import Callable
from typing import Any

import pytest

Row = dict[str, Any]


def make_row(search: str, value: float | None, flops: float | None, **dials: Any) -> Row:
    """One finished row: recall@10 with an interval of ± .003; dials by their last name."""
    row: Row = {
        "data": "amazon_beauty",
        "split": "test",
        "users": 22363,
        "seed": 0,
        "seen": "keep",
        "search": search,
        "generator": "small",
        "reward": None if search == "plain" else "dot",
        "training": "joint",
        "recall@10": value,
        "recall@10_low": None if value is None else value - 0.003,
        "recall@10_high": None if value is None else value + 0.003,
        "ndcg@10": None if value is None else value / 2,
        "flops_per_user": flops,
        "status": "done",
    }
    for name, dial in dials.items():
        row[name if name in row else f"search.{name}"] = dial
    return row


@pytest.fixture
def row() -> Callable[..., Row]:
    """The maker of single rows."""
    return make_row


@pytest.fixture
def sweep() -> list[Row]:
    """Plain at W = 10, 20, 50; guided at W = 10, 20 with C = 1, 2, 4, 10 W; exhaustive at λ = 0, 1."""
    rows = [make_row("plain", 0.05 + w / 1e5, (16 + 3.6 * w) * 1e6, width=w, candidates=w) for w in (10, 20, 50)]
    rows += [
        make_row(
            "guided", 0.058 + e / 1e3 + w / 1e4, (16.3 + 3.6 * w) * 1e6 + e,
            width=w, expansion=e, candidates=w * e, weight=1.0,
        )
        for w in (10, 20) for e in (1, 2, 4, 10)
    ]  # fmt: skip
    rows += [make_row("exhaustive", v, f, weight=x) for x, v, f in ((0.0, 0.0504, 1.4e9), (1.0, 0.0721, 1.1e7))]
    return rows
