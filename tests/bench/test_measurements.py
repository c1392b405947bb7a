"""Every measurement at tiny sizes: what it finds, its goals, and figures that fit together."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from omegaconf import DictConfig

from promise.bench import run, table
from promise.bench.measure import Skipped

#: Measurement -> what it finds and the goal of that.
FOUND: dict[str, dict[str, float | None]] = {
    "hf": {"vs_hf": 10.0, "vs_hf_equal_input": 4.0, "vs_hf_bf16": 10.0, "vs_hf_equal_input_bf16": 4.0},
    "cornac": {"vs_cornac": 30.0, "vs_cornac_bf16": 30.0},
    "peak": {"matmul_share": 0.35, "matmul_share_bf16": None},
    "items": {"trie_share_1e4": 0.05, "trie_share_1e7": 0.10, "items_1e7_over_1e4": 1.15},
    "training": {f"training_{name}{end}": 10.0 for end in ("", "_bf16") for name in ("joint", "generator")},
    "trie": {"trie_build_seconds": 60.0, "trie_megabytes": 400.0},
    "prepare_table": {"prepare_table": 0.06, "prepare_table_memory": 0.40076},
}


@pytest.mark.filterwarnings("ignore:ids.codes clamped")
@pytest.mark.parametrize("name", FOUND)
def test_a_measurement_finds_its_figures(name: str, quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))  # no new process here
    try:
        found = list(run.measurements("all")[name](quick))
    except Skipped as reason:
        pytest.skip(str(reason))
    assert {m.name: m.goal for m in found} == pytest.approx(FOUND[name])
    for m in found:
        assert m.ours is not None and (m.dtype == "bfloat16") == ("bf16" in m.name)
        assert m.low is None or m.high is None or m.low <= m.high
        if name in ("hf", "cornac", "training"):
            assert m.ours and m.theirs and m.ratio == pytest.approx(m.ours / m.theirs)
