"""Which figures a table supports, which is first, and the files they become."""

from pathlib import Path

import pytest

from promise.analysis.plots.gallery import compared, supported, write_figures
from promise.analysis.results import results_table


@pytest.fixture
def tables(sweep, row) -> dict[str, list[dict]]:
    """Rows of one sweep of each kind."""
    sizes = [
        row("guided", 0.06 + i / 100 + c / 1e4, (i + 1) * 1e8 + c, width=20, candidates=c, weight=1.0, generator=g)
        for i, g in enumerate(("tiny", "base")) for c in (20, 80)
    ]  # fmt: skip
    levels = {f"hrecall@{b}": 0.5 / b for b in (1, 2, 3)}
    weight = [row("guided", 0.05, 1e8, width=w, candidates=4 * w, weight=x) for x in (0, 0.5, 1) for w in (5, 9)]
    return {
        "candidates": sweep,
        "weight and plain": [*weight, *sweep[:3]],
        "size": sizes,
        "depth": [row("guided", 0.05, 1e8, width=20, candidates=80, weight=x) for x in ([0, 1], 1.0)],
        "hrecall": [each | levels for each in sweep],
        "one": sweep[:1],
        "none": [],
    }


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("candidates", ["candidates", "frontier"]),
        ("size", ["frontier", "candidates"]),
        ("depth", ["candidates", "frontier"]),
        ("hrecall", ["candidates", "frontier", "hrecall"]),
        ("weight and plain", ["weight", "candidates", "frontier"]),
        ("one", ["candidates"]),
        ("none", ["candidates"]),
    ],
)
def test_supported(name: str, figures: list[str], tables) -> None:
    rows = results_table(tables[name])
    assert supported(rows) == figures


def test_controls_are_not_drawn_unless_they_are_all_there_is(sweep, row) -> None:
    control = row("guided", 0.01, 5e7, width=20, candidates=80, weight=1.0, control="shuffled")
    assert len(compared(results_table([*sweep, control]))) == len(sweep)
    assert len(compared(results_table([control]))) == 1
    assert len(compared(results_table(sweep))) == len(sweep)


def test_files(tables, tmp_path: Path) -> None:
    paths = write_figures(results_table(tables["hrecall"]), tmp_path / "new")
    assert [Path(path).name for path in paths.values()] == [
        f"figure{name}.{kind}" for name in ("", "-frontier", "-hrecall") for kind in ("png", "svg")
    ]
    assert all(Path(path).is_file() for path in paths.values())
    write_figures(results_table(tables["one"]), tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["figure.png", "figure.svg"]
