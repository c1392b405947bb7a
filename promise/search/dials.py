"""The dials of a beam search: checked, spread over the levels, and reduced to those that can act."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PerLevel = float | Sequence[float]


@dataclass(frozen=True)
class Level:
    """What a search does at one level.

    Attributes:
        width: Beams kept (W).
        candidates: Drafts before the cut (C >= W).
        weight: Trust in the reward, in [0, 1].
    """

    width: int
    candidates: int
    weight: float


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def per_level(name: str, value: Any, levels: int) -> list[Any]:
    """One value per level: a number is repeated, a list must have one entry per level.

    Raises:
        ValueError: If a list has another length.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != levels:
            raise ValueError(f"search.{name} has {len(value)} entries, the semantic IDs have {levels} levels")
        return list(value)
    return [value] * levels


def entries(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def check_dials(dials: Mapping[str, Any]) -> None:
    """Check every dial that is there, before anything is built.

    Args:
        dials: Search dials by name (width, expansion, candidates, weight, temperature, rerank, control; of
            best-of-N samples, distinct).

    Raises:
        ValueError: Naming the dial, what was expected and what came.
    """
    for width in entries(dials.get("width", 1)):
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ValueError(f"search.width must be an integer >= 1, got {width}")
    for expansion in entries(dials.get("expansion", 1)):
        if not is_number(expansion) or expansion < 1:
            raise ValueError(f"search.expansion must be a number >= 1, got {expansion}")
    if dials.get("candidates") is not None:
        counts, widths = entries(dials["candidates"]), entries(dials["width"])
        if len(counts) == 1:
            counts = counts * len(widths)
        elif len(widths) == 1:
            widths = widths * len(counts)
        if len(counts) != len(widths):
            raise ValueError(f"search.candidates has {len(counts)} entries, search.width {len(widths)}")
        for count, width in zip(counts, widths, strict=True):
            if not isinstance(count, int) or isinstance(count, bool) or count < width:
                raise ValueError(f"search.candidates must be an integer >= search.width={width}, got {count}")
    if "samples" in dials:
        check_samples(dials)
    for weight in entries(dials.get("weight", 0)):
        if not is_number(weight) or not 0 <= weight <= 1:
            raise ValueError(f"search.weight must be a number in [0, 1], got {weight}")
    temperature = dials.get("temperature", 1)
    if not is_number(temperature) or temperature <= 0:
        raise ValueError(f"search.temperature must be a number > 0, got {temperature}")
    if not isinstance(dials.get("rerank", False), bool):
        raise ValueError(f"search.rerank must be true or false, got {dials['rerank']}")
    if dials.get("control", "none") not in ("none", "shuffled"):
        raise ValueError(f"search.control must be none or shuffled, got {dials['control']}")
    if dials.get("adaptive", "none") not in ("none", "entropy", "margin"):
        raise ValueError(f"search.adaptive must be none, entropy or margin, got {dials['adaptive']}")
    cap = dials.get("adaptive_cap", 1)
    if not is_number(cap) or cap < 1:
        raise ValueError(f"search.adaptive_cap must be a number >= 1, got {cap}")
    budget = dials.get("max_bytes", 1)
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        raise ValueError(f"search.max_bytes must be an integer >= 1, got {budget}")


def check_samples(dials: Mapping[str, Any]) -> None:
    """Check the dials of best-of-N that no beam search has.

    Raises:
        ValueError: As `check_dials`.
    """
    samples, weight = dials["samples"], dials.get("weight", 0)
    if not isinstance(samples, int) or isinstance(samples, bool) or samples < 1:
        raise ValueError(f"search.samples must be an integer >= 1, got {samples}")
    if not isinstance(dials.get("distinct", True), bool):
        raise ValueError(f"search.distinct must be true or false, got {dials['distinct']}")
    if not is_number(weight):  # it is asked once: there are no levels
        raise ValueError(f"search.weight must be a number in [0, 1], got {weight}")


def candidates_of(dials: Mapping[str, Any], levels: int) -> list[int]:
    """C per level: `candidates` when given, else expansion x width, rounded to the nearest."""
    if dials.get("candidates") is not None:
        return [int(c) for c in per_level("candidates", dials["candidates"], levels)]
    widths = per_level("width", dials["width"], levels)
    expansions = per_level("expansion", dials["expansion"], levels)
    return [max(w, round(w * e)) for w, e in zip(widths, expansions, strict=True)]


def plan(dials: Mapping[str, Any], nodes: Sequence[int]) -> list[Level]:
    """What to do at each level.

    Args:
        dials: Checked dials: width, expansion, candidates, weight, rerank.
        nodes: Valid prefixes at depth 0..L; nothing wider than a depth is ever kept there.

    Returns:
        One entry per level. With `rerank`, all candidates are carried to the last level and only that one is judged.
    """
    levels = len(nodes) - 1
    widths = per_level("width", dials["width"], levels)
    weights = [float(w) for w in per_level("weight", dials["weight"], levels)]
    counts = candidates_of(dials, levels)
    if dials["rerank"]:
        widths = [*counts[:-1], widths[-1]]
        weights = [0.0] * (levels - 1) + [weights[-1]]
    steps = []
    for width, count, weight, limit in zip(widths, counts, weights, nodes[1:], strict=True):
        # Cut by likelihood alone, the best W of the best C are the best W.
        steps.append(Level(min(width, limit), min(count if weight else width, limit), weight))
    return steps


def active_dials(dials: Mapping[str, Any], levels: int) -> dict[str, Any]:
    """The dials as far as they can act, in one spelling, so that equal searches have equal keys.

    Args:
        dials: Checked dials of a beam search.
        levels: L.

    Returns:
        width, candidates and weight per level, temperature, rerank, control.
    """
    widths = per_level("width", dials["width"], levels)
    weights = [float(w) for w in per_level("weight", dials["weight"], levels)]
    counts = candidates_of(dials, levels)
    rerank = dials["rerank"] and counts[:-1] != widths[:-1]
    if dials["rerank"]:
        weights = [0.0] * (levels - 1) + [weights[-1]]
    else:  # where nothing is cut, the reward is asked at the last level only
        weights[:-1] = [w if c > width else 0.0 for c, w, width in zip(counts, weights, widths, strict=True)][:-1]
    if not any(weights):
        widths = [*counts[:-1], widths[-1]] if rerank else widths
        return {"width": widths, "candidates": widths, "weight": weights}
    if not rerank:
        counts = [c if w else width for c, w, width in zip(counts, weights, widths, strict=True)]
    adapts = dials.get("adaptive", "none") != "none" and counts != widths
    return {
        "width": widths,
        "candidates": counts,
        "weight": weights,
        "temperature": 1.0 if all(w in (0.0, 1.0) for w in weights) else float(dials["temperature"]),
        "rerank": rerank,
        "control": dials["control"],
        **({name: dials[name] for name in ("adaptive", "adaptive_cap")} if adapts else {}),
    }
