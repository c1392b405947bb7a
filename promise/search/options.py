"""Options of a search: checked, spread over the levels, and reduced to those that can act."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

PerLevel = float | Sequence[float]


@dataclass(frozen=True)
class Level:
    """Width, candidates and weight of one level.

    Attributes:
        width: Beams kept (W).
        candidates: Drafts before the cut (C >= W).
        weight: Trust in the reward, in [0, 1].
    """

    width: int
    candidates: int
    weight: float

    @property
    def guided(self) -> bool:
        """Whether the reward cuts something here."""
        return self.weight > 0 and self.candidates > self.width


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


#: What an option must be, and whether a value is that.
Rule = tuple[str, Callable[[Any], bool]]


def integer(least: int) -> Rule:
    return f"an integer >= {least}", lambda value: is_integer(value) and value >= least


def number(which: str, holds: Callable[[float], bool]) -> Rule:
    """A finite number that holds; `which` says so in words."""
    return f"a number {which}", lambda value: is_number(value) and holds(value)


def one_of(*options: str) -> Rule:
    return f"{', '.join(options[:-1])} or {options[-1]}", lambda value: value in options


def or_null(rule: Rule) -> Rule:
    expected, holds = rule
    return expected, lambda value: value is None or holds(value)


COUNT, NATURAL = integer(1), integer(0)
POSITIVE, NOT_NEGATIVE = number("> 0", lambda value: value > 0), number(">= 0", lambda value: value >= 0)
AT_LEAST_ONE, SHARE = number(">= 1", lambda value: value >= 1), number("in [0, 1]", lambda value: 0 <= value <= 1)
TRUTH: Rule = "true or false", lambda value: isinstance(value, bool)

RULES: dict[str, Rule] = {
    **dict.fromkeys(("width", "samples", "max_bytes", "neighbours", "window", "budget"), COUNT),
    **dict.fromkeys(("decay", "backward", "rarity", "text_weight", "beta"), NOT_NEGATIVE),
    **dict.fromkeys(("expansion", "adaptive_cap"), AT_LEAST_ONE),
    **dict.fromkeys(("rerank", "shuffle_rewards"), TRUTH),
    "recent": or_null(COUNT),
    "weight": SHARE,
    "reward_levels": one_of("all", "last"),
    "fusion": or_null(POSITIVE),
    **dict.fromkeys(("temperature", "smoothing"), POSITIVE),
    "adaptive": one_of("none", "entropy", "margin"),
}


def require(name: str, value: Any, rule: Rule, hint: str = "") -> None:
    """Raise ValueError unless the value is what the rule says."""
    expected, holds = rule
    if not holds(value):
        raise ValueError(f"{name} must be {expected}, got {value}{hint}")


def in_one_spelling(name: str, value: Any) -> Any:
    """The value of an option, as a float where it may be a fraction: 1 and 1.0 are one."""
    return float(value) if is_integer(value) and RULES.get(name, COUNT)[0].startswith("a number") else value


def check_options(options: Mapping[str, Any]) -> None:
    """Checks the options of any search before anything is built; beam searches may have one value per level.

    Raises:
        ValueError: Naming the option, what was expected and what came.
    """
    for name, rule in RULES.items():
        if name in options:
            spread = "width" in options and "samples" not in options and name in ("width", "expansion", "weight")
            for value in entries(options[name]) if spread else [options[name]]:
                require(f"search.{name}", value, rule)
    if options.get("candidates") is not None and "width" in options:
        counts, widths = entries(options["candidates"]), entries(options["width"])
        levels = max(len(counts), len(widths))
        counts, widths = (each * levels if len(each) == 1 else each for each in (counts, widths))
        if len(counts) != len(widths):
            raise ValueError(f"search.candidates has {len(counts)} entries, search.width {len(widths)}")
        for count, width in zip(counts, widths, strict=True):
            if not is_integer(count) or count < width:
                raise ValueError(f"search.candidates must be an integer >= search.width={width}, got {count}")


def options_for(options: Mapping[str, Any], k: int, levels: int, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a search that returns k items: its own, with what is changed, and wide enough.

    Where the user gives no width, every level keeps at least k beams, so that k items are found where there are k, and
    candidates that were a fixed number become no fewer than the beams.

    Args:
        options: Config of the search.
        k: Items wanted.
        levels: L.
        changed: Options that the user gave: width, candidates, weight.

    Raises:
        ValueError: If one means nothing to the search or is out of range, or the width asked for is below k.
    """
    for name, value in changed.items():
        if name not in options:
            raise ValueError(f"search.{name}={value} means nothing to {options['_target_']}")
    found = {**options, **changed}
    if "samples" in found:
        found["samples"] = max(found["samples"], k)
    if "width" not in found:
        return found
    check_options({**found, "candidates": None})
    widths = per_level("width", found["width"], levels)
    if widths[-1] < k:
        if "width" in changed:
            raise ValueError(f"search.width must be >= k={k}, got {found['width']}")
        widths = [max(width, k) for width in widths]
        found["width"] = widths if len(set(widths)) > 1 else widths[0]
    if found.get("candidates") is not None and "candidates" not in changed:
        counts = per_level("candidates", found["candidates"], levels)
        found["candidates"] = [max(pair) for pair in zip(counts, widths, strict=True)]
    check_options(found)
    return found


@dataclass(eq=False)
class BeamOptions:
    """Options of a beam search.

    Args:
        width: Beams W kept at a level; a number or one per level.
        expansion: Candidates over width, C / W >= 1; a number or one per level.
        candidates: Candidates C; overrides `expansion` when given; a number or one per level.
        weight: Trust in the reward, λ in [0, 1]; a number or one per level.
        temperature: Divides the reward in the blend; > 0.
        rerank: Carry all candidates to the last level and let the reward cut only there (ORM).
        shuffle_rewards: Let the reward judge the wrong paths: a control.
        adaptive: `none`, or what tells uncertain users, who get more candidates than others, C on average: the
            `entropy` of the drafts, or the `margin` of the likelihood between the W-th and the C-th. The search must be
            calibrated first.
        adaptive_cap: The most candidates of one user over C; >= 1.
        max_bytes: Working memory beyond networks and tables; a batch that would take more is searched in parts.
        reward_levels: `all`, or `last`: the weight is that of the last level, and 0 above.
        fusion: Constant of reciprocal rank fusion, > 0: 1 / (fusion + rank) of likelihood and of reward among the
            candidates are blended instead of the scores themselves; null = the scores.
    """

    beam_options: ClassVar[bool] = True
    version: ClassVar[int] = 3

    width: int | Sequence[int]
    expansion: PerLevel = 1
    candidates: int | Sequence[int] | None = None
    weight: PerLevel = 0.0
    temperature: float = 1.0
    rerank: bool = False
    shuffle_rewards: bool = False
    adaptive: str = "none"
    adaptive_cap: float = 4.0
    max_bytes: int = 2**30
    reward_levels: str = "all"
    fusion: float | None = None


def entries(value: Any) -> list[Any]:
    """The values of an option that may have one per level."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def one_if_equal(values: list[Any]) -> Any:
    """One number when all levels agree, else the list."""
    return values[0] if len(set(values)) == 1 else values


def per_level(name: str, value: Any, levels: int) -> list[Any]:
    """One value per level: a number is repeated, a list must have one entry per level.

    Raises:
        ValueError: If a list has another length.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [value] * levels
    if len(value) != levels:
        raise ValueError(f"search.{name} has {len(value)} entries, the semantic IDs have {levels} levels")
    return list(value)


def candidates_of(options: Mapping[str, Any], levels: int) -> list[int]:
    """C per level: `candidates` when given, else expansion x width, rounded to the nearest."""
    if options.get("candidates") is not None and "width" in options:
        return [int(count) for count in per_level("candidates", options["candidates"], levels)]
    widths = per_level("width", options["width"], levels)
    expansions = per_level("expansion", options["expansion"], levels)
    return [max(width, round(width * expansion)) for width, expansion in zip(widths, expansions, strict=True)]


def weights_of(options: Mapping[str, Any], levels: int) -> list[float]:
    """λ per level; with `reward_levels` = last 0 above the last one."""
    weights = [float(weight) for weight in per_level("weight", options["weight"], levels)]
    return [0.0] * (levels - 1) + weights[-1:] if options.get("reward_levels") == "last" else weights


def spread_levels(options: Mapping[str, Any], levels: int) -> list[Level]:
    """Width, candidates and weight of each level as asked for; with `rerank` all candidates reach the last one."""
    widths, weights = per_level("width", options["width"], levels), weights_of(options, levels)
    counts = candidates_of(options, levels)
    if options["rerank"]:
        widths, weights = [*counts[:-1], widths[-1]], [0.0] * (levels - 1) + [weights[-1]]
    return [Level(*level) for level in zip(widths, counts, weights, strict=True)]


def plan(options: Mapping[str, Any], nodes: Sequence[int]) -> list[Level]:
    """Plans each level.

    Args:
        options: Checked options: width, expansion, candidates, weight, reward_levels, rerank.
        nodes: Valid prefixes at depth 0..L; nothing wider than a depth is ever kept there.
    """
    return [
        # Cut by likelihood alone, the best W of the best C are the best W.
        Level(min(level.width, limit), min(level.candidates if level.weight else level.width, limit), level.weight)
        for level, limit in zip(spread_levels(options, len(nodes) - 1), nodes[1:], strict=True)
    ]


def bounds(levels: Sequence[Level], fan_out: Sequence[int], wanted: Sequence[int]) -> list[tuple[int, int, int]]:
    """Of each level the most paths to decode, the most children of one, and the most drafts of those wanted."""
    found, rows = [], 1
    for level, children, most in zip(levels, fan_out, wanted, strict=True):
        drafts = min(most, rows * children)
        found.append((rows, children, drafts))
        rows = min(level.width, drafts)
    return found


def active_options(options: Mapping[str, Any], levels: int) -> dict[str, Any]:
    """The options as far as they can act, in one spelling, so that equal searches have equal keys.

    Args:
        options: Checked options of a beam search.
        levels: L.

    Returns:
        width, candidates and weight per level; where a reward is asked also temperature, rerank, shuffle_rewards, and
        fusion, adaptive and adaptive_cap if they act.
    """
    asked = spread_levels(options, levels)
    widths = [level.width for level in asked]
    wanted = per_level("width", options["width"], levels)
    # Where nothing is cut, the reward is asked at the last level only.
    weights = [level.weight if level.guided else 0.0 for level in asked[:-1]] + [asked[-1].weight]
    if not any(weights):
        return {"width": widths, "candidates": widths, "weight": weights}
    rerank = options["rerank"] and widths[:-1] != per_level("width", options["width"], levels)[:-1]
    counts = [
        level.candidates if weight or rerank else level.width for level, weight in zip(asked, weights, strict=True)
    ]
    mixes, fusion = any(0 < weight < 1 for weight in weights), options.get("fusion")
    acting = {
        "width": wanted if rerank else widths,
        "candidates": counts,
        "weight": weights,
        "temperature": float(options["temperature"]) if mixes and fusion is None else 1.0,
        "rerank": rerank,
        "shuffle_rewards": options["shuffle_rewards"],
    }
    if mixes and fusion is not None:
        acting["fusion"] = float(fusion)
    if options.get("adaptive", "none") != "none" and counts != acting["width"]:
        acting |= {"adaptive": options["adaptive"], "adaptive_cap": float(options["adaptive_cap"])}
    return acting
