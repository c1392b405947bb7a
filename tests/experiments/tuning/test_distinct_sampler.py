"""The sampler draws no trial twice, begins with its grid, and draws the same again for the same seed."""

from typing import Any

import optuna
import pytest
from tests.pipeline.studies.small_studies import SPACE, space

from promise.experiments.tuning.distinct_sampler import DistinctSampler, make_sampler
from promise.experiments.tuning.search_space import Space

SMALL = space(a=["x", "y"], b={"type": "int", "low": 1, "high": 4})
KINDS = Space.of(SPACE, "space")


def drawn(name: str, kinds: Space, count: int, seed: int = 0, grid: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """The overrides of trials asked for one after the other, each told a number."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    found: list[str] = []
    for turn in range(count):
        sampler = DistinctSampler(make_sampler(name, 4, seed + turn), kinds, found, grid, seed + turn)
        study.sampler = sampler
        trial = study.ask()
        values: dict[str, Any] = {}
        for dial in kinds.dials:
            if sampler.whole or dial.acts(values):
                values[dial.name] = dial.suggested(trial)
        found.append(" ".join(kinds.words(values)))
        study.tell(trial, [float(turn % 3), float(turn % 5)])
    return found


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "random"])
def test_a_small_space_is_drawn_to_its_end_without_a_repeat(name: str) -> None:
    every = {" ".join(SMALL.words(point)) for point in SMALL.grid(8)}
    found = drawn(name, SMALL, 8)
    assert set(found) == every and len(found) == len(every) == 8


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "random"])
def test_conditional_dials_and_the_same_seed(name: str) -> None:
    found = drawn(name, KINDS, 12)
    assert len(set(found)) == 12 and found == drawn(name, KINDS, 12) != drawn(name, KINDS, 12, seed=50)
    assert all(("search.weight" in words) == ("search=guided" in words) for words in found)


def test_the_grid_comes_first() -> None:
    grid = tuple(KINDS.grid(4))
    assert drawn("nsgaii", KINDS, 6, grid=grid)[:4] == [" ".join(KINDS.words(point)) for point in grid]


def test_nothing_is_left_to_draw() -> None:
    taken = [" ".join(SMALL.words(point)) for point in SMALL.grid(8)]
    for name in ("grid", "tpe"):
        study = optuna.create_study(sampler=DistinctSampler(make_sampler(name, 2, 0), SMALL, taken, SMALL.grid(8), 0))
        with pytest.raises(ValueError, match=r"^every trial of the space is taken$"):
            SMALL.dials[0].suggested(study.ask())
