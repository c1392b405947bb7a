"""The chart of a benchmark: from which catalogue size on guided search is cheaper than the reward of every item."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from promise.bench.measure import Measure

PANELS = {"seconds_at_": "milliseconds per user", "flops_at_": "MFLOP per user"}
SIDES = (("guided search", "#0072b2", "o", 0, "left"), ("reward of every item", "#d55e00", "s", -1, "right"))


def crossing_chart(measures: Sequence[Measure]) -> Figure | None:
    """Time and FLOPs against catalogue size, both axes logarithmic; None where fewer than two sizes were measured.

    Args:
        measures: Among them `seconds_at_I` and `flops_at_I`: guided search beside the exhaustive reward of I items.
    """
    panels = {
        label: sorted(
            (int(m.name.removeprefix(prefix)), m.ours, m.theirs) for m in measures if m.name.startswith(prefix)
        )
        for prefix, label in PANELS.items()
    }
    if any(len(points) < 2 for points in panels.values()):
        return None
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for ax, (label, points) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        items, *sides = zip(*points, strict=True)
        for (name, colour, mark, end, side), values in zip(SIDES, sides, strict=True):
            ax.loglog(items, values, color=colour, marker=mark, label=name)
            place = (0, 7) if side == "left" else (-9, -3)
            ax.annotate(name, (items[end], values[end]), place, textcoords="offset points", color=colour, ha=side)
        ax.set_xlabel("items of the catalogue")
        ax.set_ylabel(label)
        ax.spines[["top", "right"]].set_visible(False)
    note = next((m.note for m in measures if m.name.startswith("seconds_at_")), "")
    figure.suptitle(note, fontsize=9)
    return figure


def draw(measures: Sequence[Measure], table: Path) -> None:
    """Write the chart beside a table of the measures, as .svg, if there is enough to draw."""
    if figure := crossing_chart(measures):
        figure.savefig(table.with_name(f"{table.stem}-crossing.svg"), metadata={"Date": None})
