"""Run-time arguments of a ranker, made when its constructor names them and not before; among them lists of a file."""

import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from promise.data.given_histories import read_histories
from promise.data.tables import TableFile, collected, found_files
from promise.pipeline.model_folder import digest, fingerprint_of
from promise.pipeline.stages import Pipeline
from promise.search.rankers.predictions import Lists

log = logging.getLogger(__name__)

#: Names by which a ranker asks for the networks of the model.
OF_THE_MODEL = frozenset({"generator", "reward", "trie"})

#: Names by which it asks for what only training data hold.
OF_DATA = frozenset({"training", "words", "sasrec", "conditional", "read_lists"})


def ranker_inputs(pipeline: Pipeline) -> dict[str, Callable[[], Any]]:
    """Makers of all that a ranker may name, by the names of its parameters; they build what is missing."""
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


def read_lists(pipeline: Pipeline, file: str, remove_seen: bool) -> Lists:
    """Reads lists in the forms that `promise recommend` and `predictions=` write, among others.

    The file is a table with a row per user with a list of items, or per user and item, by their `rank` or best first;
    `remove_seen` leaves out what a user of the split had before the target.

    Raises:
        ValueError: If there is no such file, it names a user or item that the data don't have, or an item twice, or
            its own targets are not those of the split.
    """
    name, interactions = f"search.file={file}", pipeline.interactions
    given = read_histories("search.file", str(file), interactions.items["id"], ranked=True)
    require_targets(pipeline, str(file))
    if given.unknown:
        raise ValueError(f"{name} has {given.unknown} items that the data don't have, such as {given.stranger!r}")
    places = {str(user): number for number, user in enumerate(interactions.users)}
    if strange := [user for user in given.users if str(user) not in places]:
        raise ValueError(f"{name} has {len(strange)} users whom the data don't have, first {strange[0]}")
    users = np.array([places[str(user)] for user in given.users])
    owners = np.repeat(users, np.diff(given.offsets))
    pairs = owners * pipeline.histories.item_count + given.items
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError(f"{name} has an item twice in the list of one user")
    if len(users) < len(places):
        log.info("%s has lists of %d of %d users; for the others nothing is found", name, len(users), len(places))
    kept = np.argsort(owners, kind="stable")
    if remove_seen:
        evaluated = np.intersect1d(users, pipeline.histories.evaluated(pipeline.cfg.split))
        history, lengths = pipeline.histories.history(pipeline.cfg.split, evaluated)
        past = (np.arange(history.shape[1]) < lengths[:, None]).nonzero()
        seen = evaluated[past[0]] * pipeline.histories.item_count + history[past]
        kept = kept[~np.isin(pairs, seen)[kept]]
    offsets = np.append(0, np.cumsum(np.bincount(owners[kept], minlength=len(places))))
    return Lists(given.items[kept], offsets)


def require_targets(pipeline: Pipeline, file: str) -> None:
    """Raise ValueError if a file tells its targets, as `predictions=` does, and those of the split are others."""
    files = [TableFile.open("search.file", path) for path in found_files("search.file", file, None)]
    if not {"user", "items", "target"} <= set(files[0].columns):
        return
    split, told = pipeline.cfg.split, collected(pl.concat([each.scan(["user", "target"]) for each in files]), files)
    wrong = told.cast(pl.String).join(targets_of(pipeline), on="user").filter(pl.col("target") != pl.col("own"))
    if len(wrong):
        raise ValueError(
            f"search.file={file} is of other targets than split={split}: {wrong['target'][0]} of user "
            f"{wrong['user'][0]}, the data have {wrong['own'][0]}"
        )


def targets_of(pipeline: Pipeline) -> pl.DataFrame:
    """`user` and `own`: ids as text of every user that has a target of the split, in their order, and of the target."""
    interactions, users = pipeline.interactions, pipeline.histories.evaluated(pipeline.cfg.split)
    targets = pipeline.histories.targets(pipeline.cfg.split, users)
    columns = {"user": interactions.users.gather(users), "own": interactions.items["id"].gather(targets)}
    return pl.DataFrame(columns).cast(pl.String)
