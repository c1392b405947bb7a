"""HRecall per level: which searches are shown, their shares, and what they gain over a plain beam."""

import numpy as np
import pytest

from promise.analysis.hrecall_figure import gain_over_plain, hrecall_figure, kept_prefixes
from promise.analysis.results import results_table


@pytest.fixture
def levels(row) -> list[dict]:
    """Plain at W = 10, 20, 50; guided at W = 20 with C = 20, 80; exhaustive without beams."""

    def shares(scale: float) -> dict[str, float]:
        return {f"hrecall@{b}": scale / b for b in (1, 2, 3)}

    rows = [row("plain", 0.05, 1e8, width=w, candidates=w) | shares(0.5 + w / 1000) for w in (10, 20, 50)]
    rows += [row("guided", 0.06, 1e8, width=20, candidates=c, weight=1.0) | shares(0.5 + c / 1000) for c in (20, 80)]
    return [*rows, row("exhaustive", 0.07, 1e7, weight=1.0)]


def test_kept_prefixes(levels) -> None:
    plain, guided = kept_prefixes(results_table(levels))
    assert (plain.name, guided.name) == ("plain beam, W = 20", "guided, W = 20, C = 80")
    assert guided.shares == pytest.approx((0.58, 0.29, 0.58 / 3))
    assert guided.users == 22363
    assert gain_over_plain(plain, [plain, guided]) is None
    assert gain_over_plain(guided, [plain, guided]) == pytest.approx([0.06, 0.03, 0.02])
    assert gain_over_plain(guided, [guided]) is None


def test_of_many_searches_those_that_keep_most_are_shown(row, levels) -> None:
    rows = [*levels]
    for w in range(21, 41):
        shares = {f"hrecall@{b}": w / 100 / b for b in (1, 2, 3)}
        rows += [row("guided", 0.06, 1e8, width=w, candidates=e * w, weight=1.0) | shares for e in (2, 4)]
    widths = [kept.width for kept in kept_prefixes(results_table(rows)) if kept.search == "guided"]
    assert widths == [20, 36, 37, 38, 39, 40]


def test_dials_drawn_at_random_are_not_shown(row, levels) -> None:
    shares = {f"hrecall@{b}": 0.5 / b for b in (1, 2, 3)}
    rows = [row("guided", 0.06, 1e8, width=w, candidates=3 * w + 1, weight=w / 50) | shares for w in range(21, 41)]
    assert kept_prefixes(results_table([*levels, *rows])) == []


def test_figure(levels) -> None:
    figure = hrecall_figure(results_table(levels))
    left, right = figure.axes
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()) for line in left.lines}
    assert drawn["guided, W = 20, C = 80"] == pytest.approx(np.array([0.58, 0.29, 0.58 / 3]))
    assert left.get_yscale() == "log"
    assert left.get_ylabel() == "HRecall (share of users, log scale)"
    assert left.get_xlabel() == "level of the semantic ID"
    gains = {str(line.get_label()): np.asarray(line.get_ydata()) for line in right.lines}
    assert gains["guided, W = 20, C = 80"] == pytest.approx(np.array([6, 3, 2]))
    assert right.get_ylabel() == "difference in HRecall (percentage points)"
    assert "Left out" not in figure.get_supxlabel()


def test_without_a_plain_beam_the_right_panel_says_so(levels) -> None:
    right = hrecall_figure(results_table(levels[3:])).axes[1]
    assert [text.get_text() for text in right.texts] == ["no plain beam of the same width"]


def test_shares_of_zero_and_one_draw(levels) -> None:
    hrecall_figure(results_table([each | {"hrecall@1": 1.0, "hrecall@3": 0.0} for each in levels]))
    hrecall_figure(results_table([each | {f"hrecall@{b}": 1.0 for b in (1, 2, 3)} for each in levels]))


def test_error(sweep) -> None:
    assert kept_prefixes(results_table(sweep)) == []
    with pytest.raises(ValueError, match=r"^hrecall@1 must be a column of the results with a value"):
        hrecall_figure(results_table(sweep))
