"""The Python interface: a trained model that recommends without data, and the search that a command opens."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from promise import configs
from promise.data.histories import pad_rows
from promise.pipeline.checks import check, check_judge
from promise.pipeline.config import make_with, parameters_of
from promise.pipeline.model_folder import Model
from promise.pipeline.points import Point
from promise.pipeline.ranker_inputs import OF_DATA
from promise.pipeline.stages import Pipeline
from promise.search.protocols import UserRows

#: Users searched for at once.
AT_ONCE = 256


class Recommender:
    """Recommends items of a model's catalogue by the model's own search.

    Args:
        model: The model.
        remove_seen: Never recommend an item of the history.

    Raises:
        ValueError: If the model's search needs training data, such as a baseline that counts.
    """

    def __init__(self, model: Model, remove_seen: bool = False) -> None:
        if needed := sorted(parameters_of(model.search["_target_"]) & OF_DATA):
            raise ValueError(f"the model's search {model.search['_target_']} needs data: {', '.join(needed)}")
        self.model = model
        self.ids = model.items["id"].to_list()
        self.index = {item: index for index, item in enumerate(self.ids)}
        makers: dict[str, Callable[[], Any]] = {
            "generator": lambda: model.networks[0],
            "reward": lambda: model.networks[1],
            "trie": lambda: model.inputs.trie,
            "item_count": lambda: len(self.ids),
            "item_vectors": lambda: model.inputs.item_vectors,
            "remove_seen": lambda: remove_seen,
            "seed": lambda: 0,
        }
        self.ranker = make_with(model.search, makers)

    def recommend(self, histories: Sequence[Sequence[Hashable]], k: int = 10) -> list[list[Any]]:
        """The k best items of every user, best first; fewer where the search finds fewer.

        Args:
            histories: Item ids of each user as the training data have them, oldest first.
            k: Items wanted, >= 1.

        Raises:
            ValueError: If a history is empty or names an item that the model does not know.
        """
        answers: list[list[Any]] = []
        for first in range(0, len(histories), AT_ONCE):
            batch = self.batch(histories[first : first + AT_ONCE], first)
            items = self.ranker.rank(batch, k).items.tolist()
            answers += [[self.ids[item] for item in row if item >= 0] for row in items]
        return answers

    def batch(self, histories: Sequence[Sequence[Hashable]], first: int) -> UserRows:
        """Some histories as item indices; `first` is the number of their first user, for the error."""
        for user, history in enumerate(histories, first):
            if not len(history):
                raise ValueError(f"the history of user {user} is empty")
            if unknown := [item for item in history if item not in self.index]:
                raise ValueError(f"the history of user {user} names item {unknown[0]!r}, which the model does not know")
        lengths = np.array([len(history) for history in histories])
        flat = np.array([self.index[item] for history in histories for item in history])
        padded = pad_rows(flat, np.cumsum(lengths) - lengths, lengths)
        return UserRows(torch.from_numpy(padded), torch.from_numpy(lengths))


def load(folder: str | Path, remove_seen: bool = False) -> Recommender:
    """The recommender of a model folder (`paths.model` of `promise train`); it needs nothing else.

    Args:
        folder: The folder.
        remove_seen: Never recommend an item of the history.

    Raises:
        ValueError: If the folder is no model, or a file of it is missing or has changed.
    """
    return Recommender(Model.open(folder), remove_seen)


def open_point(words: Sequence[str] = ()) -> Point:
    """The search of `promise evaluate WORDS`, with its pipeline; what is missing is built when it is first asked for.

    Args:
        words: As on the command line, such as `["experiment=quickstart", "search.width=10"]`.

    Returns:
        The point: `.pipeline` has data, semantic IDs, trie and networks, `.result()` the row.

    Raises:
        ValueError: If an option is wrong, as the verb would say.
        hydra.errors.HydraException: If Hydra cannot compose the words.
    """
    cfg, chosen = configs.composed(words)
    OmegaConf.set_struct(cfg, False)
    check(cfg)
    check_judge(cfg)
    return Point(Pipeline(cfg), cfg.search, chosen)
