"""HRecall per level: which searches are shown, and their shares."""

import pytest

from promise.analysis.plots.levels import hrecall_figure, kept_prefixes
from promise.analysis.results import results_table
from tests.analysis.plots.artists import lines


@pytest.fixture
def levels(row) -> list[dict]:
    """Plain at W = 10, 20, 50; guided at W = 20 with C = 20, 80; exhaustive without beams."""

    def shares(scale: float) -> dict[str, float]:
        return {f"hrecall@{b}": scale / b for b in (1, 2, 3)}

    rows = [row("plain", 0.05, 1e8, width=w, candidates=w) | shares(0.5 + w / 1000) for w in (10, 20, 50)]
    rows += [row("guided", 0.06, 1e8, width=20, candidates=c, weight=1.0) | shares(0.5 + c / 1000) for c in (20, 80)]
    return [*rows, row("exhaustive", 0.07, 1e7, weight=1.0)]


def test_kept_prefixes(levels) -> None:
    found = kept_prefixes(results_table(levels))
    assert list(found) == ["plain beam, W = 20", "guided, W = 20, C = 80"]
    assert found["guided, W = 20, C = 80"][1] == pytest.approx([0.58, 0.29, 0.58 / 3])
    assert kept_prefixes(results_table([each | {"trial": i} for i, each in enumerate(levels)])) == {}


def test_hrecall_figure(levels) -> None:
    (ax,) = hrecall_figure(results_table(levels)).axes
    assert lines(ax)["guided, W = 20, C = 80"] == ([1, 2, 3], pytest.approx([0.58, 0.29, 0.58 / 3]))
    assert ax.get_yscale() == "log"
    for some in ({"hrecall@1": 1.0, "hrecall@3": 0.0}, {f"hrecall@{b}": 1.0 for b in (1, 2, 3)}):
        hrecall_figure(results_table([each | some for each in levels])).draw_without_rendering()


def test_no_hrecall(sweep) -> None:
    assert kept_prefixes(results_table(sweep)) == {}
