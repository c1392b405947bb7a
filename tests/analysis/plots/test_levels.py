"""The depth ablation, and HRecall per level: which searches are shown, their shares, their gains."""

import pytest

from promise.analysis.plots.levels import depth_figure, depth_settings, gain_over_plain, hrecall_figure, kept_prefixes
from promise.analysis.results import results_table
from tests.analysis.plots.artists import lines, texts


@pytest.fixture
def ablation(row) -> list[dict]:
    """The reward at no level, at one, at two, at all; an ORM; and points of other dials."""
    settings = (([0, 0, 1], 0.07), ([1, 0, 0], 0.06), ([0, 1, 1], 0.075), (1.0, 0.08))
    rows = [row("guided", v, 5e7, width=20, candidates=80, weight=w) for w, v in settings]
    rows.append(row("plain", 0.05, 5e7, width=20, candidates=20, weight=0.0))
    rows.append(row("orm", 0.078, 1e8, width=20, candidates=80, weight=1.0))
    rows.append(row("guided", 0.2, 5e7, width=20, candidates=400, weight=1.0))
    rows.append(row("guided", 0.2, 5e7, width=20, candidates=80, weight=0.5))
    rows.append(row("plain", 0.2, 5e7, width=50, candidates=50, weight=0.0))
    return rows


def test_settings(ablation) -> None:
    shared, settings = depth_settings(results_table(ablation))
    assert shared == "W = 20, C = 80, λ = 1"
    assert [(name, point.value) for name, _, point in settings] == [
        ("no level (plain beam)", 0.05), ("level 1 only", 0.06), ("level 3 only", 0.07), ("levels 2, 3", 0.075),
        ("all 3 levels", 0.08), ("ORM", 0.078),
    ]  # fmt: skip
    rows = [each | {"seed": seed, "recall@10": each["recall@10"] + seed / 100} for each in ablation for seed in (0, 1)]
    _, settings = depth_settings(results_table(rows))
    assert settings[0][2].value == pytest.approx(0.055)


def test_depth_figure(ablation) -> None:
    (ax,) = depth_figure(results_table(ablation)).axes
    assert [bars.lines[0].get_xdata().tolist()[0] for bars in ax.containers] == [0.05, 0.06, 0.07, 0.075, 0.08, 0.078]
    ends = ax.containers[1].lines[2][0].get_paths()[0].vertices[:, 0]
    assert ends.tolist() == pytest.approx([0.057, 0.063])


def test_no_row_gives_the_reward_to_some_levels(sweep) -> None:
    assert depth_settings(results_table(sweep)) == ("", [])
    with pytest.raises(ValueError, match=r"^search.weight must be 0 at some levels"):
        depth_figure(results_table(sweep))


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
    assert gain_over_plain(plain, [plain, guided]) is None
    assert gain_over_plain(guided, [plain, guided]) == pytest.approx([0.06, 0.03, 0.02])
    assert gain_over_plain(guided, [guided]) is None


def test_dials_drawn_at_random_are_not_shown(row, levels) -> None:
    shares = {f"hrecall@{b}": 0.5 / b for b in (1, 2, 3)}
    rows = [row("guided", 0.06, 1e8, width=w, candidates=3 * w + 1, weight=w / 50) | shares for w in range(21, 41)]
    assert kept_prefixes(results_table([*levels, *rows])) == []


def test_hrecall_figure(levels) -> None:
    left, right = hrecall_figure(results_table(levels)).axes
    assert lines(left)["guided, W = 20, C = 80"] == ([1, 2, 3], pytest.approx([0.58, 0.29, 0.58 / 3]))
    assert left.get_yscale() == "log"
    assert lines(right)["guided, W = 20, C = 80"][1] == pytest.approx([6, 3, 2])
    right = hrecall_figure(results_table(levels[3:])).axes[1]
    assert texts(right) == ["no plain beam of the same width"]
    for some in ({"hrecall@1": 1.0, "hrecall@3": 0.0}, {f"hrecall@{b}": 1.0 for b in (1, 2, 3)}):
        hrecall_figure(results_table([each | some for each in levels])).draw_without_rendering()


def test_no_hrecall(sweep) -> None:
    assert kept_prefixes(results_table(sweep)) == []
    with pytest.raises(ValueError, match=r"^hrecall@1 must be a column of the results with a value"):
        hrecall_figure(results_table(sweep))
