"""The space of a study: ranges and choices of config keys, some of them only where another key has a certain value."""

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from promise.search.options import is_number

#: Optuna's distributions by the name of their type.
TYPES: dict[str, Any] = {"float": FloatDistribution, "int": IntDistribution, "categorical": CategoricalDistribution}


@dataclass(frozen=True)
class SearchDimension:
    """One config key that a study searches.

    Attributes:
        name: As typed on the command line (`search.width`).
        distribution: Optuna's; both ends of a range may be drawn.
        when: Earlier categorical dimension -> the values for which this one acts; all must hold.
    """

    name: str
    distribution: Any
    when: Mapping[str, list[Any]] = field(default_factory=dict)

    def acts(self, values: Mapping[str, Any]) -> bool:
        """Whether it acts beside the values of the earlier dimensions that act."""
        return all(parent in values and values[parent] in allowed for parent, allowed in self.when.items())

    @property
    def choices(self) -> list[Any] | None:
        """The values of a categorical dimension; None for a range."""
        return list(self.distribution.choices) if isinstance(self.distribution, CategoricalDistribution) else None

    @property
    def count(self) -> float:
        """How many values a range has; infinite for a float without a step."""
        low, high, step = self.distribution.low, self.distribution.high, self.distribution.step
        return 1 if low == high else math.inf if step is None else round((high - low) / step) + 1

    def suggest(self, trial: Any) -> Any:
        """The value that an Optuna trial draws."""
        if self.choices is not None:
            return trial.suggest_categorical(self.name, self.choices)
        given = self.distribution
        draw = trial.suggest_int if isinstance(given, IntDistribution) else trial.suggest_float
        return draw(self.name, given.low, given.high, step=given.step, log=given.log)


class Space:
    """Dimensions in their order; a condition names earlier ones.

    Args:
        entries: Key -> `{type, low, high, log, step, when}`, `{type: categorical, choices, when}`, or a list of
            choices.
        where: The config's own name (`sweep.study.space`), for errors.

    Raises:
        ValueError: If there is no key, or one is wrong; it is named.
    """

    def __init__(self, entries: Mapping[str, Any], where: str) -> None:
        if not entries:
            raise ValueError(f"{where} must name at least one key")
        self.dimensions: list[SearchDimension] = []
        for name, entry in entries.items():
            known = {each.name: each.choices for each in self.dimensions if each.choices is not None}
            self.dimensions.append(dimension(str(name), entry, known, f"{where}: {name}"))

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial: those of the dimensions that act."""
        found: dict[str, Any] = {}
        for each in self.dimensions:
            if each.acts(found) and each.name in values:
                found[each.name] = values[each.name]
        return [
            f"{name}={value if isinstance(value, str) else json.dumps(rounded(value))}" for name, value in found.items()
        ]

    @property
    def size(self) -> float:
        """How many distinct trials there can be; infinite with a float that has no step."""
        ranges = {each.name: each.count for each in self.dimensions if each.choices is None}
        kinds = self._points(lambda each: each.choices or [None])
        return sum(math.prod(count for name, count in ranges.items() if name in kind) for kind in kinds)

    def corners(self) -> list[list[str]]:
        """Overrides of trials in which every choice and both ends of every range occur, for checks."""
        lows, highs = (
            self._points(lambda each, end=end: each.choices or [getattr(each.distribution, end)])  # type: ignore[misc]
            for end in ("low", "high")
        )
        return [list(words) for words in dict.fromkeys(tuple(self.overrides(point)) for point in [*lows, *highs])]

    def _points(self, values_of: Callable[[SearchDimension], list[Any]]) -> list[dict[str, Any]]:
        """Every combination of some values, each with the dimensions that act in it."""
        points: list[dict[str, Any]] = [{}]
        for each in self.dimensions:
            points = [
                point | more
                for point in points
                for more in ([{each.name: value} for value in values_of(each)] if each.acts(point) else [{}])
            ]
        return points


def dimension(name: str, entry: Any, known: Mapping[str, Sequence[Any]], where: str) -> SearchDimension:
    """A checked dimension, or ValueError at `where`; `known` are the choices of the earlier categorical ones."""
    if isinstance(entry, list):
        entry = {"type": "categorical", "choices": entry}
    if not isinstance(entry, Mapping) or entry.get("type") not in TYPES:
        kind = entry.get("type") if isinstance(entry, Mapping) else entry
        raise ValueError(f"{where}: type must be float, int or categorical, got {kind}")
    options = {
        key: value for key, value in entry.items() if key not in ("type", "when") and (key, value) != ("step", None)
    }
    for key in {"low", "high", "step"} & options.keys():
        value, whole = options[key], entry["type"] == "int"
        if not is_number(value) or (whole and not isinstance(value, int)):
            raise ValueError(f"{where}: {key} must be {'an integer' if whole else 'a number'}, got {value}")
    if isinstance(choices := options.get("choices"), list):  # a list, one value per level, becomes its text
        options["choices"] = [json.dumps(each) if isinstance(each, list) else each for each in choices]
        if len({json.dumps(each) for each in choices}) < len(choices):
            raise ValueError(f"{where}: choices must differ, got {choices}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            distribution = TYPES[entry["type"]](**options)
    except (TypeError, ValueError, Warning) as error:
        raise ValueError(f"{where}: {error}") from None
    when = entry.get("when") or {}
    if not isinstance(when, Mapping):
        raise ValueError(f"{where}: when must map keys to values, got {when}")
    conditions = {parent: values if isinstance(values, list) else [values] for parent, values in when.items()}
    for parent, values in conditions.items():
        if parent not in known:
            raise ValueError(f"{where}: when names {parent}, which is no earlier categorical key of the space")
        for value in values:
            if value not in known[parent]:
                raise ValueError(f"{where}: when names {parent}={value}, which is none of its choices")
    return SearchDimension(name, distribution, conditions)


def rounded(value: Any) -> Any:
    """A float with six digits, which is what is evaluated; any other value as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
