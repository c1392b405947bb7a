"""The dials that a study searches: ranges and choices, some of them only where another dial has a certain value."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promise.search.options import is_number

Scalar = str | int | float | bool | None

#: Keys that an entry of a space may have, by its type.
KEYS = {
    "float": ("low", "high", "log", "step", "when"),
    "int": ("low", "high", "log", "step", "when"),
    "categorical": ("choices", "when"),
}


@dataclass(frozen=True)
class Dial:
    """One dial of a space.

    Attributes:
        name: As typed on the command line (`search.width`).
        type: float, int or categorical.
        low: Least value of a number.
        high: Largest value, which may be drawn too.
        step: Distance of neighbouring values; None = any float.
        log: Whether the logarithm is what is drawn evenly.
        choices: Values of a categorical dial.
        when: Earlier categorical dial -> the values for which this dial acts; all must hold.
    """

    name: str
    type: str
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Scalar, ...] = ()
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)

    def acts(self, values: Mapping[str, Any]) -> bool:
        """Whether the dial acts beside the values of the earlier dials that act."""
        return all(parent in values and values[parent] in allowed for parent, allowed in self.when.items())

    @property
    def count(self) -> float:
        """How many values there are; infinite for a float without a step."""
        if self.type == "categorical":
            return len(self.choices)
        if self.step is None:
            return 1 if self.low == self.high else math.inf
        return round((self.high - self.low) / self.step) + 1

    def spread(self, levels: int) -> list[Scalar]:
        """At most so many values, from low to high in even steps (even ratios when log); one alone is the middle."""
        if self.type == "categorical":
            return list(self.choices)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        shares = [i / (levels - 1) for i in range(levels)] if levels > 1 else [0.5]
        values = [low + (high - low) * share for share in shares]
        return list(dict.fromkeys(self.snapped(math.exp(value) if self.log else value) for value in values))

    def snapped(self, value: float) -> float:
        """The nearest value that can be drawn."""
        value = min(max(value, self.low), self.high)
        if self.step is not None:
            value = self.low + round((value - self.low) / self.step) * self.step
        return round(value) if self.type == "int" else float(f"{value:.6g}")

    def word(self, value: Any) -> str:
        """The override that sets the dial; floats with six digits, which is what is evaluated."""
        if isinstance(value, float):
            value = float(f"{value:.6g}")
        return f"{self.name}={value if isinstance(value, str) else json.dumps(value)}"

    def distribution(self) -> Any:
        """The dial as Optuna knows it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.type == "categorical":
            return CategoricalDistribution(self.choices)
        if self.type == "int":
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(float(self.low), float(self.high), log=self.log, step=self.step)

    def suggested(self, trial: Any) -> Any:
        """The dial's value in an Optuna trial."""
        if self.type == "categorical":
            return trial.suggest_categorical(self.name, self.choices)
        if self.type == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.name, float(self.low), float(self.high), log=self.log, step=self.step)


class Space:
    """Dials in their order; a dial's conditions name earlier ones.

    Args:
        dials: The dials.
    """

    def __init__(self, dials: Sequence[Dial]) -> None:
        self.dials = list(dials)

    @classmethod
    def of(cls, entries: Mapping[str, Any], where: str) -> "Space":
        """The space that a config describes.

        Args:
            entries: Dial -> `{type, low, high, log, step, when}`, `{type: categorical, choices, when}`, or a list of
                choices.
            where: The config's own name (`sweep.study.space`), for errors.

        Raises:
            ValueError: If there is no dial, or one is wrong; it is named.
        """
        if not entries:
            raise ValueError(f"{where} must name at least one dial")
        dials: list[Dial] = []
        for name, entry in entries.items():
            known = {dial.name: dial for dial in dials if dial.type == "categorical"}
            dials.append(_dial(str(name), entry, known, f"{where}: {name}"))
        return cls(dials)

    def acting(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the dials that act."""
        found: dict[str, Any] = {}
        for dial in self.dials:
            if dial.acts(found) and dial.name in values:
                found[dial.name] = values[dial.name]
        return found

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """The overrides of a trial: those of the dials that act."""
        found = self.acting(values)
        return [dial.word(found[dial.name]) for dial in self.dials if dial.name in found]

    @property
    def size(self) -> float:
        """How many distinct trials there can be; infinite with a float that has no step."""
        numbers = [dial for dial in self.dials if dial.type != "categorical"]
        return sum(math.prod(dial.count for dial in numbers if dial.acts(kinds)) for kinds in self._kinds())

    def grid(self, most: int) -> list[dict[str, Any]]:
        """A grid of at most so many trials: every choice, and as many values of each number as there is room for.

        Args:
            most: Most points; choices alone may already be more, then these are the first ones.
        """
        numbers = [dial for dial in self.dials if dial.type != "categorical"]
        levels = {dial.name: 1 for dial in numbers}
        growing = [dial for dial in numbers if dial.count > 1]
        while growing:
            dial = min(growing, key=lambda dial: levels[dial.name])
            levels[dial.name] += 1
            if self._grid_size(levels) > most:
                levels[dial.name] -= 1
                growing.remove(dial)
            elif len(dial.spread(levels[dial.name])) >= dial.count:
                growing.remove(dial)
        points = []
        for kinds in self._kinds():
            acting = [dial for dial in numbers if dial.acts(kinds)]
            for values in itertools.product(*(dial.spread(levels[dial.name]) for dial in acting)):
                points.append(kinds | {dial.name: value for dial, value in zip(acting, values, strict=True)})
        return points[:most]

    def corners(self) -> list[list[str]]:
        """Overrides of trials in which every choice and both ends of every range occur, for checks."""
        found: list[list[str]] = []
        for kinds in self._kinds():
            for end in ("low", "high"):
                ends = {d.name: d.snapped(getattr(d, end)) for d in self.dials if d.type != "categorical"}
                words = self.words(kinds | ends)
                if words not in found:
                    found.append(words)
        return found

    def _grid_size(self, levels: Mapping[str, int]) -> int:
        sizes = {d.name: len(d.spread(levels[d.name])) for d in self.dials if d.type != "categorical"}
        numbers = [dial for dial in self.dials if dial.name in sizes]
        return sum(math.prod(sizes[dial.name] for dial in numbers if dial.acts(kinds)) for kinds in self._kinds())

    def _kinds(self) -> Iterator[dict[str, Any]]:
        """Every combination of the categorical dials, each with those that act in it."""
        kinds: list[dict[str, Any]] = [{}]
        for dial in self.dials:
            if dial.type == "categorical":
                kinds = [
                    kind | ({dial.name: choice} if dial.acts(kind) else {})
                    for kind in kinds
                    for choice in (dial.choices if dial.acts(kind) else (None,))
                ]
        return iter(kinds)


def _dial(name: str, entry: Any, known: Mapping[str, Dial], where: str) -> Dial:
    """A checked dial; `known` are the earlier categorical ones."""
    if isinstance(entry, list):
        entry = {"type": "categorical", "choices": entry}
    if not isinstance(entry, Mapping) or entry.get("type") not in KEYS:
        kind = entry.get("type") if isinstance(entry, Mapping) else entry
        raise ValueError(f"{where}: type must be float, int or categorical, got {kind}")
    kind = entry["type"]
    for key in entry:
        if key not in ("type", *KEYS[kind]):
            raise ValueError(f"{where}: {key} is no key of a {kind} dial, which has {', '.join(KEYS[kind])}")
    when = _conditions(entry.get("when") or {}, known, where)
    if kind == "categorical":
        return Dial(name, kind, choices=_choices(entry.get("choices"), where), when=when)
    low: Any = entry.get("low")
    high: Any = entry.get("high")
    step, log = entry.get("step"), entry.get("log", False)
    named = [("low", low), ("high", high), *([] if step is None else [("step", step)])]
    for key, value in named:
        if not is_number(value) or (kind == "int" and not isinstance(value, int)):
            raise ValueError(f"{where}: {key} must be {'an integer' if kind == 'int' else 'a number'}, got {value}")
    if low > high:
        raise ValueError(f"{where}: low must be <= high, got {low} > {high}")
    if not isinstance(log, bool):
        raise ValueError(f"{where}: log must be true or false, got {log}")
    if log and low <= 0:
        raise ValueError(f"{where}: low must be > 0 where log is true, got {low}")
    if step is not None:
        if log:
            raise ValueError(f"{where}: step and log exclude each other")
        if step <= 0:
            raise ValueError(f"{where}: step must be > 0, got {step}")
        count = (high - low) / step
        if abs(count - round(count)) > 1e-9 * max(1.0, count):
            raise ValueError(f"{where}: high - low must be a multiple of step, got {low}, {high} and {step}")
    return Dial(name, kind, low, high, 1 if kind == "int" and step is None else step, log, when=when)


def _choices(choices: Any, where: str) -> tuple[Scalar, ...]:
    """The values of a categorical dial; a list (a value per level) becomes its text."""
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"{where}: choices must be a list of at least one value, got {choices}")
    found = tuple(each if each is None or isinstance(each, str | int | float) else json.dumps(each) for each in choices)
    if len({json.dumps(each) for each in found}) < len(found):
        raise ValueError(f"{where}: choices must differ, got {choices}")
    return found


def _conditions(when: Any, known: Mapping[str, Dial], where: str) -> dict[str, tuple[Scalar, ...]]:
    """Parent -> the values for which a dial acts."""
    if not isinstance(when, Mapping):
        raise ValueError(f"{where}: when must be a mapping of dials to values, got {when}")
    found = {}
    for parent, values in when.items():
        values = values if isinstance(values, list) else [values]
        if parent not in known:
            raise ValueError(f"{where}: when names {parent}, which is no earlier categorical dial of the space")
        for value in values:
            if value not in known[parent].choices:
                raise ValueError(f"{where}: when names {parent}={value}, which is none of its choices")
        found[parent] = tuple(values)
    return found
