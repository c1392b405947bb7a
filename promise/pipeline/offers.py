"""What a ranker may ask for at run time, by the names of its parameters; made when it does and not before."""

from collections.abc import Callable, Collection
from typing import Any

from torch import nn

from promise.pipeline.stages import Pipeline


def offers(pipeline: Pipeline, names: Collection[str]) -> dict[str, Any]:
    """Those run-time objects that a ranker takes.

    Args:
        pipeline: Gives data, IDs, networks and config; what is missing is built.
        names: The ranker's parameters.

    Raises:
        ValueError: If the data don't hold what one is made of.
    """
    makers: dict[str, Callable[[], Any]] = {
        "generator": lambda: pipeline.networks[0],
        "reward": lambda: pipeline.networks[1],
        "trie": lambda: pipeline.trie,
        "sasrec": lambda: pipeline.sasrec,
        "words": lambda: pipeline.words,
        "item_words": lambda: pipeline.item_words,
        "training": lambda: pipeline.histories.training_items(),
        "item_count": lambda: pipeline.histories.item_count,
        "remove_seen": lambda: pipeline.cfg.evaluation.seen == "remove",
        "seed": lambda: pipeline.cfg.seed,
    }
    return {name: make() for name, make in makers.items() if name in names}


def fingerprints(pipeline: Pipeline, names: Collection[str]) -> dict[str, str]:
    """What tells the networks and IDs that a ranker takes from others; data alone are told elsewhere."""
    found: dict[str, str] = {}
    if "generator" in names:
        found |= {"ids": pipeline.ids.fingerprint, "networks": pipeline.networks_fingerprint}
    if "sasrec" in names:
        found["networks"] = pipeline.sasrec_artifact.fingerprint
    return found


def asked(pipeline: Pipeline, names: Collection[str], judged: bool) -> list[nn.Module]:
    """The networks that a ranker asks; the reward model only if it is `judged` by it."""
    found: list[nn.Module | None] = []
    if "generator" in names:
        generator, reward = pipeline.networks
        found += [generator, reward if judged else None]
    if "sasrec" in names:
        found.append(pipeline.sasrec)
    return [network for network in found if network is not None]
