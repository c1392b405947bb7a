"""One user's search in a sweep's report: whom it is drawn for, by a stated rule, and the figure."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promise.analysis.plots.drawing import save_figure
from promise.analysis.plots.trace import tree_figure
from promise.data.datasets import draw_users
from promise.experiments.findings import Measured
from promise.experiments.point_outcome import PointOutcome
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline
from promise.pipeline.trace import trace_user
from promise.tasks.drift import LISTED

log = logging.getLogger(__name__)


def draw_user(done: Sequence[tuple[PointOutcome, Measured]], folder: Path) -> dict[str, str]:
    """Draw the search of the first user whose target guided search returns and a plain beam of its width loses.

    Guided search is the point of most candidates that has such a plain beam beside it, on the same users and networks.

    Args:
        done: Points with their measures.
        folder: Where the drawing goes.

    Returns:
        The files by name; none where no points or no user fit, which the log says.
    """
    pairs = [
        (outcome, guided, plain)
        for outcome, guided in done
        for _, plain in done
        if (guided.row["search"], plain.row["search"], guided.shuffled) == ("guided", "plain", False)
        and (guided.users, guided.networks, guided.dial("width")) == (plain.users, plain.networks, plain.dial("width"))
    ]
    if not pairs:
        log.warning("sweep.trace=true draws nobody's search: no guided point has a plain one of its width beside it")
        return {}
    outcome, guided, plain = max(pairs, key=lambda pair: np.mean(pair[1].dial("candidates")))
    gained, missed = rescued(guided, plain), rescued(plain, guided)
    if not gained.any():
        log.warning("sweep.trace=true draws nobody's search: the guided one returns no target that plain beams lose")
        return {}
    pipeline = Pipeline(outcome.point.cfg)
    cfg = pipeline.cfg
    user = int(draw_users(pipeline.histories.evaluated(cfg.split), cfg.evaluation.users)[gained.argmax()])
    trace = trace_user(Point(pipeline, cfg.search, outcome.point.chosen), user)
    name = pipeline.interactions.users[user]
    note = (
        f"Picked for illustration, it proves nothing: the first user whose target guided search has among its first "
        f"{LISTED} items, W = {guided.dial('width')}, C = {guided.dial('candidates')}, while the plain beam of that "
        f"width has lost it. There are {gained.sum():,} such users of {len(gained):,}; the reverse holds of "
        f"{missed.sum():,}. Shown are the best items of both searches and, at every level, the likeliest prefix that "
        "guided search cut."
    )
    drawn = save_figure(tree_figure(trace.tree(), f"One user's search: {name}", note), folder / "one_user")
    return dict(zip(("one_user_svg", "one_user"), map(str, drawn), strict=True))


def rescued(one: Measured, other: Measured) -> NDArray[np.bool_]:
    """(n,) users whose target one beam search has among its first items while the other has lost it."""
    assert other.kept is not None  # beams keep prefixes
    return (one.ranks < LISTED) & ~other.kept[:, -1]
