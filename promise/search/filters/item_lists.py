"""ItemLists: allowed and denied items, for all users or for each, joined with the users' own past."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from promise.search.protocols import Batch, Items


class Permitted(NamedTuple):
    """The places of the items that the users of one call may be given.

    A place is where an item stands in the order in which a ranker keeps the catalogue. A user's own places are
    distinct and ascend; -1, which is none, may stand before them.

    Attributes:
        everyone: (I,) bool, places that are open to all; None = every one.
        only: (B, n) int64, the places that are open to each user; None = those of `everyone`.
        less: (B, n) int64, places of `everyone` that each user loses; None = none, as always beside `only`.
    """

    everyone: Tensor | None
    only: Tensor | None
    less: Tensor | None

    @property
    def own(self) -> Tensor | None:
        """(B, n) places that each user has, or loses, alone."""
        return self.less if self.only is None else self.only

    def rows(self, part: slice) -> "Permitted":
        """The same for some of the users."""
        return Permitted(self.everyone, *(None if own is None else own[part] for own in (self.only, self.less)))

    def narrow(self, scores: Tensor) -> Tensor:
        """Scores (B, I) by place, -inf where the item is not permitted."""
        count, device = scores.shape[1], scores.device
        if self.only is not None:
            return scores.masked_fill(~marked(self.only.to(device), count), -torch.inf)
        if self.everyone is not None:
            scores = scores.masked_fill(~self.everyone.to(device), -torch.inf)
        if self.less is not None:
            scores = scores.masked_fill(marked(self.less.to(device), count), -torch.inf)
        return scores


class ItemLists:
    """Lists of allowed and denied items that hold for every call, joined with those of one call.

    An item is permitted when every allow list names it, no deny list does and, with `remove_seen`, the user has not
    had it. Lists are sets: an item named twice counts once; -1 names none.

    Args:
        item_count: Items of the catalogue.
        remove_seen: Whether the items of a user's history are denied.
        allow: (n,) the only items that may be returned; None = all.
        deny: (n,) items that may not be returned; None = none.
        place: (I,) integers, the place of each item; None = the item's number.

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
        self.item_count = item_count
        self.remove_seen = remove_seen
        self.place = place
        device = torch.device("cpu") if place is None else place.device
        lists = {name: self.checked(name, items, device, None) for name, items in named(allow, deny).items()}
        self.everyone = self.open_to_all(None, lists)

    def of(self, batch: Batch, allow: Items | None = None, deny: Items | None = None) -> Permitted:
        """Joins the lists of one call with those of every call.

        Args:
            batch: The users.
            allow: The only items that may be returned: (n,) for all users, or (B, n) for each, where a user whose
                list is empty gets nothing; None = all.
            deny: Items that may not be returned, (n,) or (B, n); None = none.

        Raises:
            ValueError: If a list holds anything but items of the catalogue, is not one list or one for each user,
                or `allow` (n,) is empty.
        """
        users, device = batch.history.shape[0], batch.history.device
        lists = {name: self.checked(name, items, device, users) for name, items in named(allow, deny).items()}
        own = {name: self.places(lists.pop(name)) for name in list(lists) if lists[name].dim() == 2}
        everyone = self.open_to_all(self.everyone, lists)
        lost = [own["deny"]] if "deny" in own else []
        if self.remove_seen:
            lost.append(self.places(batch.history.masked_fill(~real_items(batch), -1)))
        less = torch.cat(lost, 1) if lost else None
        if (only := own.get("allow")) is not None:
            if less is not None:
                only = only.masked_fill(contained(only, less.sort(1).values), -1)
            return Permitted(everyone, distinct(among(only, everyone)), None)
        return Permitted(everyone, None, None if less is None else distinct(among(less, everyone)))

    def checked(self, name: str, items: Items, device: torch.device, users: int | None) -> Tensor:
        """A list of one call for that many users, or of every call, as int64; refused as the class says."""
        tensor = torch.as_tensor(items, device=device)
        if users is None and tensor.dim() != 1:
            raise ValueError(f"{name} must be one list (n,), got shape {tuple(tensor.shape)}")
        if tensor.dim() != 1 and (tensor.dim() != 2 or len(tensor) != users):
            raise ValueError(f"{name} must be (n,) or ({users}, n), got shape {tuple(tensor.shape)}")
        if tensor.numel() and (tensor.is_floating_point() or tensor.dtype == torch.bool):
            raise ValueError(f"{name} must hold item numbers, got {tensor.dtype}")
        tensor = tensor.long()
        wrong = (tensor < -1) | (tensor >= self.item_count)
        if wrong.any():
            raise ValueError(f"{name} must hold items 0 .. {self.item_count - 1}, got {int(tensor[wrong][0])}")
        if name == "allow" and tensor.dim() == 1 and not (tensor >= 0).any():
            raise ValueError("allow must name at least one item, got none")
        return tensor

    def places(self, items: Tensor) -> Tensor:
        """int64 place of each item, of any shape; -1 for -1."""
        if self.place is None:
            return items
        return self.place.to(items.device)[items].long().masked_fill(items < 0, -1)

    def open_to_all(self, everyone: Tensor | None, lists: Mapping[str, Tensor]) -> Tensor | None:
        """(I,) bool, the places of `everyone` that lists (n,) leave; None = all."""
        for name, items in lists.items():
            flags = torch.full((self.item_count,), name == "deny", device=items.device)
            flags[self.places(items[items >= 0])] = name == "allow"
            everyone = flags if everyone is None else everyone.to(items.device) & flags
        return everyone


def named(allow: Items | None, deny: Items | None) -> dict[str, Items]:
    """The lists that are there, by name."""
    return {name: items for name, items in (("allow", allow), ("deny", deny)) if items is not None}


def real_items(batch: Batch) -> Tensor:
    """(B, H), False in the padding."""
    steps = torch.arange(batch.history.shape[1], device=batch.history.device)
    return steps < batch.lengths[:, None]


def distinct(places: Tensor) -> Tensor:
    """Places (B, n) in any order -> (B, n) ascending, what repeats replaced by -1."""
    ordered = places.sort(dim=1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(again, -1).sort(dim=1).values


def contained(places: Tensor, ordered: Tensor) -> Tensor:
    """(B, n) bool, which places (B, n) of a user are among others (B, m) that ascend."""
    if not ordered.shape[1]:
        return torch.zeros_like(places, dtype=torch.bool)
    slots = torch.searchsorted(ordered, places.contiguous()).clamp_max(ordered.shape[1] - 1)
    return ordered.gather(1, slots) == places


def among(places: Tensor, everyone: Tensor | None) -> Tensor:
    """Places (B, n), -1 where they are not open to everyone."""
    return places if everyone is None else places.masked_fill(~everyone.to(places.device)[places], -1)


def marked(places: Tensor, count: int) -> Tensor:
    """(B, count) bool, True at places (B, n)."""
    columns = places.where(places >= 0, count)  # none has a column of its own, which is cut off
    marks = torch.zeros(len(places), count + 1, dtype=torch.bool, device=places.device)
    return marks.scatter_(1, columns, True)[:, :-1]
