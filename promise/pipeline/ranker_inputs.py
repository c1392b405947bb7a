"""Run-time arguments of a ranker, made when its constructor names them and not before."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from promise.pipeline.given_lists import read_lists
from promise.pipeline.model_folder import digest, fingerprint_of
from promise.pipeline.stages import Pipeline

#: Names by which a ranker asks for the networks of the model.
OF_THE_MODEL = frozenset({"generator", "reward", "trie"})

#: Names by which it asks for what only training data hold.
OF_DATA = frozenset({"training", "words", "sasrec", "conditional", "read_lists"})


def ranker_inputs(pipeline: Pipeline) -> dict[str, Callable[[], Any]]:
    """Makers of all that a ranker may name, by the names of its parameters; they build what is missing.

    Args:
        pipeline: Gives data, IDs, networks and config.
    """
    return {
        "generator": lambda: pipeline.networks[0],
        "reward": lambda: pipeline.networks[1],
        "trie": lambda: pipeline.trie,
        "sasrec": lambda: pipeline.sasrec,
        "words": lambda: pipeline.words,
        "item_words": lambda: pipeline.item_words,
        "conditional": lambda: pipeline.conditional,
        "item_vectors": lambda: pipeline.item_vectors,
        "training": lambda: pipeline.histories.training_items(),
        "read_lists": lambda: partial(read_lists, pipeline),
        "item_count": lambda: pipeline.histories.item_count,
        "remove_seen": lambda: pipeline.cfg.evaluation.remove_seen,
        "seed": lambda: pipeline.cfg.seed,
    }


def fingerprints(pipeline: Pipeline, names: Collection[str]) -> dict[str, str]:
    """Fingerprints of the networks and vectors that a ranker names; those of data alone are elsewhere."""
    found: dict[str, str] = {}
    if OF_THE_MODEL & set(names):
        found["networks"] = pipeline.model.fingerprint
    if "sasrec" in names:
        config = pipeline.sasrec_artifact.manifest["config"]["network"]
        found["sasrec"] = digest({"config": config, "weights": pipeline.sasrec_artifact.fingerprint})
    if "item_vectors" in names:
        found["vectors"] = fingerprint_of(pipeline.item_vectors)
    return found
