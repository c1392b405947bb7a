"""Networks wrapped in co-occurrence counts by a configuration, and the scale of what they learned of these."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from promise.models.cooccurrence.generator import CooccurrenceGenerator
from promise.models.cooccurrence.history_bias import NeighboursBias, prefix_nodes
from promise.models.cooccurrence.neighbours import Neighbours
from promise.models.cooccurrence.reward import CooccurrenceReward
from promise.models.reward import RewardModel


def wrap(
    config: Mapping[str, Any] | None,
    generator: Any,
    reward: RewardModel | None,
    tables: Mapping[str, Tensor],
    codes: Tensor,
) -> tuple[Any, RewardModel | None]:
    """The networks with co-occurrence counts, or as they are where the configuration has none.

    Args:
        config: The group `cooccurrence`; None or empty = none.
        generator: The generator.
        reward: The reward model, or None.
        tables: `NAME.items`, `NAME.counts` and `NAME.factors` (I, C) of the tables `co_visits` and `texts`: see
            `Neighbours`. In training also the sequences that were counted: `sequences.items` (n,) and
            `sequences.offsets` (users + 1,).
        codes: Semantic IDs of the items (I, L).
    """
    if not config:
        return generator, reward
    near = []
    for name, count, window in (
        ("co_visits", config["neighbours"], config["window"]),
        ("texts", config["text_neighbours"], 0),
    ):
        if count:
            given = {part: tables[f"{name}.{part}"] for part in ("items", "counts", "factors")}
            near.append(Neighbours(count, window, config["decay"], config["backward"], **given))
    sequences = None
    if "sequences.items" in tables:
        sequences = tables["sequences.items"], tables["sequences.offsets"]
    wrapped = CooccurrenceGenerator(inner=generator, codes=codes, tables=near, sequences=sequences)
    if reward is None:
        return wrapped, None
    counted, nodes = [table.window > 0 for table in near], prefix_nodes(codes)
    return wrapped, CooccurrenceReward(inner=reward, history=generator.history, counted=counted, item_nodes=nodes)


def set_scale(networks: Iterable[nn.Module | None], factor: float) -> None:
    """Let what was learned of counts weigh so many times as much, outside training; 1 = as learned."""
    for network in networks:
        for module in network.modules() if network is not None else ():
            if isinstance(module, NeighboursBias) and module.counted:
                module.scale = factor
