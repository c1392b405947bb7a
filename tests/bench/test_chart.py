"""The chart of the crossing: what it shows of measures that are written out."""

from pathlib import Path

from promise.bench.chart import crossing_chart, draw
from promise.bench.measure import Measure

SIZES = (1000, 100, 10_000)
MEASURES = [
    *(Measure(f"seconds_at_{items}", "ms/user", 3.0, items / 1000, note="guided, W=50") for items in SIZES),
    *(Measure(f"flops_at_{items}", "MFLOP/user", 300.0, items / 100) for items in SIZES),
    Measure("crossing_seconds", "items", 3000.0),
]


def test_both_sides_stand_against_the_size_of_the_catalogue() -> None:
    figure = crossing_chart(MEASURES)
    assert figure is not None and figure.get_suptitle() == "guided, W=50"
    for ax, label, ours, theirs in zip(
        figure.axes, ("milliseconds per user", "MFLOP per user"), (3.0, 300.0), (0.001, 0.01), strict=True
    ):
        assert ax.get_ylabel() == label and ax.get_xscale() == ax.get_yscale() == "log"
        guided, every = ax.get_lines()
        assert guided.get_xdata().tolist() == every.get_xdata().tolist() == [100, 1000, 10_000]
        assert guided.get_ydata().tolist() == [ours] * 3
        assert every.get_ydata().tolist() == [theirs * items for items in (100, 1000, 10_000)]


def test_the_chart_lies_beside_the_table_and_a_single_size_has_none(tmp_path: Path) -> None:
    draw(MEASURES[:1], tmp_path / "bench.csv")
    assert crossing_chart(MEASURES[:1]) is None and not list(tmp_path.iterdir())
    draw(MEASURES, tmp_path / "bench.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["bench-crossing.svg"]
