"""The measurements of a search beside its peers run, and say what they compared."""

import importlib.util
import time

import pytest
import torch
from omegaconf import DictConfig

from promise.bench import search
from promise.bench.measure import Timing
from promise.bench.worlds import sizes, world


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
def test_hugging_face(quick: DictConfig) -> None:
    found = {m.name: m for m in search.hugging_face(quick)}
    names = ("vs_hf", "vs_hf_equal_input")
    assert list(found) == [name + suffix for suffix in ("", "_bf16", "_w20") for name in names]
    assert [m.goal for m in found.values()] == [10.0, 4.0, 10.0, 4.0, None, None]
    assert [m.dtype for m in found.values()] == ["float32"] * 2 + ["bfloat16"] * 2 + ["float32"] * 2
    for m in found.values():
        assert m.ours and m.theirs and m.ratio == pytest.approx(m.ours / m.theirs)
    assert "W=4, 1+1 layers, D=16, 300 items, 5 items of history; ours batch" in found["vs_hf"].note
    assert "HF 20 tokens, batch" in found["vs_hf"].note and "HF 5 tokens" in found["vs_hf_equal_input"].note


@pytest.mark.skipif(importlib.util.find_spec("cornac") is None, reason="cornac is not installed")
def test_cornac(quick: DictConfig) -> None:
    found = list(search.cornac(quick))
    assert [(m.name, m.goal) for m in found] == [
        ("vs_cornac", 30.0),
        ("vs_cornac_bf16", 30.0),
        ("vs_cornac_w20", None),
    ]
    assert all(m.ratio == pytest.approx((m.ours or 0) / (m.theirs or 1)) for m in found)


def test_guided(quick: DictConfig) -> None:
    found = list(search.guided(quick))
    assert [(m.name, m.goal, m.direction) for m in found] == [
        ("guided_over_plain", 1.10, "at most"),
        ("cross_attention_over_plain", 1.25, "at most"),
    ]
    assert all(m.low and m.high and m.low <= m.high for m in found)
    assert found[1].note == "C=16, cross_attention; W=4, 1+1 layers, D=16, 300 items, 5 items of history; batch 4"


def test_a_speed_up_counts_the_users_of_both_sides(quick: DictConfig) -> None:
    wide, _, narrow = search.rivals(sizes(quick))
    timings = (Timing((2.0,)), Timing((1.0,)))
    found = search.speed_up("x", wide, *timings, (100, 5), 9.0, "")
    assert (found.name, found.ours, found.theirs, found.ratio, found.verdict) == ("x", 50.0, 5.0, 10.0, "met")
    found = search.speed_up("x", narrow, *timings, (100, 5), 9.0, "")
    assert (found.name, found.goal, found.verdict) == ("x_w20", None, "")


def test_a_peer_whose_answers_are_no_items_is_not_measured(quick: DictConfig) -> None:
    s = sizes(quick)
    ours = world(s.items, s.history, s.network)
    paths = ours.trie.prefixes(4)[:6].view(2, 3, 4)
    search.check_legal(ours, paths, "peer")
    for wrong in (paths[:, [0, 0, 1]], (paths + 1) % 256):
        with pytest.raises(RuntimeError, match=r"^peer: the peer's answers are not all distinct items$"):
            search.check_legal(ours, wrong, "peer")


def test_the_faster_batch_is_chosen() -> None:
    class Slow:
        """A search that takes two milliseconds for every call."""

        def rank(self, users: search.Users, k: int) -> None:
            time.sleep(2e-3)

    users = search.draw_users(8, 10, 3)
    assert search.at_best(Slow(), users, 2, 1, torch.float32)[1] == 8
