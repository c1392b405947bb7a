"""Slopes, shares of the trie, and the catalogue from which guided search is the cheaper."""

import pytest
import torch
from omegaconf import DictConfig

from promise.bench import growth
from promise.bench.worlds import draw_users, sizes, world


def test_what_a_search_asks_of_its_trie_is_asked_again(quick: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    s = sizes(quick)
    ours = world(s.items, s.history, s.network)
    search = ours.search("guided", width=s.width, candidates=4 * s.width)
    users = draw_users(s.batch, s.items, s.history)
    expected = search.rank(users, s.width)
    replay = growth.trie_work(ours, lambda: search.rank(users, s.width))
    assert not {"children_of", "child", "allowed", "item_of"} & vars(ours.trie).keys()
    assert torch.equal(search.rank(users, s.width).items, expected.items)
    asked: list[torch.Size] = []
    real = growth.Trie.item_of
    monkeypatch.setattr(growth.Trie, "item_of", lambda trie, *at: asked.append(at[0].shape) or real(trie, *at))
    growth.trie_work(ours, lambda: search.rank(users, s.width))()
    once = [(s.batch, 3 * s.width), (s.batch, s.width)]  # the last drafts, whose items decide ties, and the answer
    assert asked == once * 2  # by the search, and again
    replay()


def test_crossing(quick: DictConfig) -> None:
    found = {m.name: m for m in growth.crossing(quick)}
    assert list(found) == [
        *("seconds_at_200", "flops_at_200", "seconds_at_600", "flops_at_600"),
        *("crossing_seconds", "crossing_flops"),
    ]
    small, large = found["flops_at_200"], found["flops_at_600"]
    assert small.theirs and large.theirs and small.ratio and large.ratio
    assert large.theirs - small.theirs == pytest.approx(400 * 2 * 16 / 1e6)  # 400 items more, one product each
    assert small.ratio < large.ratio
    crossing = found["crossing_flops"]
    assert crossing.ours and crossing.ours > 600
    assert crossing.note == "from here on guided search is the cheaper; measured at 200 .. 600 items"


@pytest.mark.parametrize(
    ("ratios", "point"),
    [
        ([0.1, 10.0, 100.0], 10 + 90 * 0.9 / 9.9),
        ([0.01, 0.1, 1.0], 1000.0),
        ([0.1, 0.2, 0.3], 7300.0),
        ([0.1, 0.3, 0.2], None),
        ([2.0, 3.0, 4.0], None),
    ],
)
def test_crossing_point(ratios: list[float], point: float | None) -> None:
    found = growth.crossing_point((10, 100, 1000), ratios)
    assert found == (None if point is None else pytest.approx(point))
