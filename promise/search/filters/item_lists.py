"""ItemLists: allowed and denied items, joined with the users' own past."""

from collections.abc import Set
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from promise.search.protocols import Batch, Items


class Permitted(NamedTuple):
    """The places of the items that the users of one call may be given.

    A place is where an item stands in the order in which a ranker keeps the catalogue.

    Attributes:
        everyone: (I,) bool, places that are open to all; None = every one.
        less: (B, n) int64, places of `everyone` that each user loses, distinct and ascending after -1, which is none;
            None = none.
    """

    everyone: Tensor | None
    less: Tensor | None

    def rows(self, part: slice) -> "Permitted":
        """The same for some of the users."""
        return Permitted(self.everyone, None if self.less is None else self.less[part])

    def narrow(self, scores: Tensor) -> Tensor:
        """Scores (B, I) by place, -inf where the item is not permitted."""
        if self.everyone is not None:
            scores = scores.masked_fill(~self.everyone.to(scores.device), -torch.inf)
        if self.less is not None:
            scores = scores.masked_fill(marked(self.less.to(scores.device), scores.shape[1]), -torch.inf)
        return scores


class ItemLists:
    """Lists of allowed and denied items, joined with what each user has had.

    An item is permitted when the allow list names it, the deny list does not and, with `remove_seen`, the user has not
    had it. Lists are sets: an item named twice counts once; -1 names none.

    Args:
        item_count: Items of the catalogue.
        remove_seen: Whether the items of a user's history are denied.
        allow: (n,) the only items that may be returned; None = all.
        deny: (n,) items that may not be returned; None = none.
        place: (I,) integers, the place of each item; None = the item's number.

    Attributes:
        everyone: (I,) bool, the places that are open to all; None = every one.

    Raises:
        ValueError: If a list holds anything but items of the catalogue, or `allow` is empty.
    """

    def __init__(
        self,
        item_count: int,
        *,
        remove_seen: bool = False,
        allow: Items | None = None,
        deny: Items | None = None,
        place: Tensor | None = None,
    ) -> None:
        self.remove_seen = remove_seen
        self.place = torch.arange(item_count) if place is None else place
        self.everyone: Tensor | None = None
        for name, listed in (("allow", allow), ("deny", deny)):
            if listed is not None:
                items = checked(name, listed, item_count).to(self.place.device)
                flags = torch.full((item_count,), name == "deny", device=self.place.device)
                flags[self.place[items].long()] = name == "allow"
                self.everyone = flags if self.everyone is None else self.everyone & flags

    def of(self, batch: Batch) -> Permitted:
        """Joins the lists with the past of some users."""
        if not self.remove_seen:
            return Permitted(self.everyone, None)
        steps = torch.arange(batch.history.shape[1], device=batch.history.device)
        places = self.place.to(batch.history.device)[batch.history].long()
        places = places.masked_fill(steps >= batch.lengths[:, None], -1)  # the padding
        if self.everyone is not None:
            places = places.masked_fill(~self.everyone.to(places.device)[places], -1)
        return Permitted(self.everyone, distinct(places))


def checked(name: str, items: Items, item_count: int) -> Tensor:
    """The items of a list as int64, without -1; refused as `ItemLists` says."""
    if not isinstance(items, Tensor):
        items = np.asarray(list(items) if isinstance(items, Set) else items)
        if items.dtype.kind not in "iufb":
            raise ValueError(f"{name} must hold item numbers, got {items.dtype}")
    tensor = torch.as_tensor(items)
    if tensor.dim() != 1:
        raise ValueError(f"{name} must be one list (n,), got shape {tuple(tensor.shape)}")
    if tensor.numel() and (tensor.is_floating_point() or tensor.dtype == torch.bool):
        raise ValueError(f"{name} must hold item numbers, got {tensor.dtype}")
    tensor = tensor.long()
    wrong = (tensor < -1) | (tensor >= item_count)
    if wrong.any():
        raise ValueError(f"{name} must hold items 0 .. {item_count - 1}, got {int(tensor[wrong][0])}")
    if name == "allow" and not (tensor >= 0).any():
        raise ValueError("allow must name at least one item, got none")
    return tensor[tensor >= 0]


def distinct(places: Tensor) -> Tensor:
    """Places (B, n) in any order -> (B, n) ascending, what repeats replaced by -1."""
    ordered = places.sort(dim=1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(again, -1).sort(dim=1).values


def marked(places: Tensor, count: int) -> Tensor:
    """(B, count) bool, True at places (B, n)."""
    columns = places.where(places >= 0, count)  # none has a column of its own, which is cut off
    marks = torch.zeros(len(places), count + 1, dtype=torch.bool, device=places.device)
    return marks.scatter_(1, columns, True)[:, :-1]
