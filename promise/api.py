"""The Python interface: a trained model that recommends without data, and the search that a command opens."""

import json
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from hydra.errors import HydraException
from numpy.typing import NDArray
from omegaconf import OmegaConf

from promise import configs
from promise.data.histories import pad_rows
from promise.pipeline.checks import check, check_judge
from promise.pipeline.config import make_with, parameters_of
from promise.pipeline.files import written_whole
from promise.pipeline.model_folder import Model
from promise.pipeline.overrides import check_overrides
from promise.pipeline.points import Point
from promise.pipeline.ranker_inputs import OF_DATA
from promise.pipeline.stages import Pipeline
from promise.search.explanation import explained
from promise.search.exported import exported
from promise.search.guided import GuidedSearch
from promise.search.options import COUNT, options_for, require
from promise.search.protocols import Ranker, UserRows

log = logging.getLogger(__name__)

#: Users searched for at once.
AT_ONCE = 256


class Recommender:
    """Recommends items of a model's catalogue by the model's own search.

    Args:
        model: The model.
        remove_seen: Never recommend an item of the history.
        device: Where the networks go.

    Attributes:
        ids: (I,) item ids as the training data have them.
        index: Number of each.
        titles: Title of each, by its id; None where it has none.

    Raises:
        ValueError: If the model's search needs data, such as a baseline that counts, or adaptive candidates.
    """

    def __init__(self, model: Model, remove_seen: bool = False, device: str | torch.device = "cpu") -> None:
        if needed := sorted(parameters_of(model.search["_target_"]) & OF_DATA):
            raise ValueError(f"the model's search {model.search['_target_']} needs data: {', '.join(needed)}")
        if (told := model.search.get("adaptive", "none")) != "none":
            raise ValueError(
                f"the model's search.adaptive={told} needs validation users: `promise train` with search.adaptive=none "
                "makes a folder of the same networks"
            )
        self.model, self.device = model, torch.device(device)
        self.ids = model.items["id"].to_list()
        self.index = {item: index for index, item in enumerate(self.ids)}
        self.titles = dict(zip(self.ids, model.items["title"], strict=True))
        self.makers: dict[str, Callable[[], Any]] = {
            "generator": lambda: model.networks[0].to(device),
            "reward": lambda: None if model.networks[1] is None else model.networks[1].to(device),
            "trie": lambda: model.inputs.trie.to(device),
            "item_count": lambda: len(self.ids),
            "item_vectors": lambda: model.inputs.item_vectors,
            "remove_seen": lambda: remove_seen,
            "seed": lambda: 0,
        }

    @classmethod
    def load(cls, folder: str | Path, remove_seen: bool = False, device: str | torch.device = "cpu") -> "Recommender":
        """The recommender of a model folder (`paths.model` of `promise train`); no data are needed.

        Args:
            folder: The folder.
            remove_seen: Never recommend an item of the history.
            device: Where the networks go.

        Raises:
            ValueError: If the folder is no model, or a file of it is missing or has changed.
        """
        return cls(Model.open(folder, "model"), remove_seen, device)

    def recommend(
        self,
        histories: Sequence[Sequence[Hashable]],
        k: int = 10,
        *,
        width: int | Sequence[int] | None = None,
        candidates: int | Sequence[int] | None = None,
        weight: float | Sequence[float] | None = None,
        allow: Iterable[Hashable] | None = None,
        deny: Iterable[Hashable] | None = None,
    ) -> list[list[Any]]:
        """The k best items of every user, best first; fewer where no more may be returned.

        Args:
            histories: Item ids of each user as the training data have them, oldest first.
            k: Items wanted, from 1 to the catalogue's.
            width: Beams kept at a level, >= k; None = the model's own, or k where that is more.
            candidates: Paths that the reward scores at a level, >= width; None = the model's own.
            weight: Trust in the reward, in [0, 1]; None = the model's own.
            allow: Ids of the only items that may be returned; None = all.
            deny: Ids of items that may not be returned; None = none.

        Raises:
            ValueError: If a history is empty or no list, an item is unknown, or an option is out of range.
        """
        ranker = self.ranker(k, self.lists(allow, deny), width=width, candidates=candidates, weight=weight)
        answers: list[list[Any]] = []
        for first in range(0, len(histories), AT_ONCE):
            batch = self.batch(histories[first : first + AT_ONCE], first)
            items = ranker.rank(batch, k).items.tolist()
            answers += [[self.ids[item] for item in row if item >= 0] for row in items]
        return answers

    def explain(self, history: Sequence[Hashable], item: Hashable, **options: Any) -> pl.DataFrame:
        """What the networks say of an item for one user, and where the search keeps or loses it.

        Args:
            history: Item ids, oldest first.
            item: Item id.
            options: width, candidates and weight as `recommend` takes them.

        Returns:
            A row per level: level, code, probability, reward, candidates, rank, kept, plain: see `explained`.

        Raises:
            ValueError: As `recommend`; or if the model's search keeps no beams.
        """
        search = self.beam_search("explain", 1, {}, options)
        rows = explained(search, self.batch([history], 0), self.number("explain", item))
        return pl.DataFrame(rows, schema_overrides={"reward": pl.Float64, "rank": pl.Int64})

    def export(
        self,
        path: str | Path,
        k: int = 10,
        *,
        history: int | None = None,
        allow: Iterable[Hashable] | None = None,
        deny: Iterable[Hashable] | None = None,
        **options: Any,
    ) -> None:
        """Write networks, trie and search as one graph that needs torch alone; the Python page shows how it is used.

        It takes item numbers (B, H), right-padded with any item's, and lengths (B,), and returns items and scores
        (B, k), best first, -1 where there is none. Its extra file `items.json` has the id of every number.

        Args:
            path: The file, `.pt2`.
            k: Items that the graph returns.
            history: Items H of a row, what `remove_seen` can see; None = as many as the generator reads.
            allow, deny: As `recommend` takes them; they are part of the graph.
            options: width, candidates and weight as `recommend` takes them.

        Raises:
            ValueError: As `recommend`; or if the search keeps no beams or is no graph: see `exported`.
        """
        if Path(path).suffix != ".pt2":
            raise ValueError(f"export writes a file that ends in .pt2, got {path}")
        search = self.beam_search("export", k, self.lists(allow, deny), options)
        if history is not None:
            require("history", history, COUNT)
        program = exported(search, k, search.generator.history if history is None else history)
        with written_whole(Path(path)) as part:
            torch.export.save(program, part, extra_files={"items.json": json.dumps(self.ids)})

    def lists(self, allow: Iterable[Hashable] | None, deny: Iterable[Hashable] | None) -> dict[str, NDArray[np.int64]]:
        """Item numbers of the lists that are given, by name."""
        return {
            name: np.array([self.number(name, item) for item in items], np.int64)
            for name, items in (("allow", allow), ("deny", deny))
            if items is not None
        }

    def ranker(self, k: int, lists: Mapping[str, NDArray[np.int64]], **changed: Any) -> Ranker:
        """The model's search, wide enough for k items.

        Args:
            k: Items wanted.
            lists: Item numbers that are allowed or denied, by the name of the list.
            changed: Options that differ from the model's own; None = they do not.

        Raises:
            ValueError: If k or an option is out of range, or means nothing to the search.
        """
        require("k", k, COUNT)
        if k > len(self.ids):
            raise ValueError(f"k must be at most {len(self.ids)}, the items of the catalogue, got {k}")
        own, given = self.model.search, {name: value for name, value in changed.items() if value is not None}
        search = options_for(own, k, self.model.inputs.trie.levels, given)
        for name in lists:
            if name not in parameters_of(search["_target_"]):
                raise ValueError(f"{name} means nothing to {search['_target_']}")
        if (widened := search.get("width")) != own.get("width") and "width" not in given:
            log.info("search.width=%s for k=%s, the model's own is %s", widened, k, own["width"])
        return cast(Ranker, make_with(search, {**self.makers, **{n: partial(np.asarray, v) for n, v in lists.items()}}))

    def beam_search(self, what: str, k: int, lists: Mapping[str, Any], changed: Mapping[str, Any]) -> GuidedSearch:
        """As `ranker`, for what needs beams.

        Raises:
            ValueError: As `ranker`; or if the model's search keeps no beams.
        """
        search = self.ranker(k, lists, **changed)
        if not isinstance(search, GuidedSearch):
            raise ValueError(f"{what} needs a beam search, the model's is {self.model.search['_target_']}")
        return search

    def number(self, what: str, item: Hashable) -> int:
        """The number of an item; `what` names it in the error.

        Raises:
            ValueError: If the model does not know it.
        """
        if not isinstance(item, Hashable) or item not in self.index:
            raise ValueError(f"{what} names item {item!r}, which the model does not know")
        return self.index[item]

    def batch(self, histories: Sequence[Sequence[Hashable]], first: int) -> UserRows:
        """Some histories as item indices; `first` is the number of their first user, for the error."""
        for user, history in enumerate(histories, first):
            if isinstance(history, str) or not hasattr(history, "__len__"):
                raise ValueError(f"the history of user {user} must be a list of item ids, got {history!r}")
            if not len(history):
                raise ValueError(f"the history of user {user} is empty")
        flat = [
            self.number(f"the history of user {user}", item)
            for user, history in enumerate(histories, first)
            for item in history
        ]
        lengths = np.array([len(history) for history in histories])
        padded = pad_rows(np.array(flat), np.cumsum(lengths) - lengths, lengths)
        return UserRows(torch.from_numpy(padded).to(self.device), torch.from_numpy(lengths).to(self.device))


#: The same by a shorter name.
load = Recommender.load


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
    try:
        cfg, chosen = configs.composed(words)
    except HydraException:
        check_overrides(words)
        raise
    OmegaConf.set_struct(cfg, False)
    check(cfg)
    check_judge(cfg)
    return Point(Pipeline(cfg), cfg.search, chosen)
