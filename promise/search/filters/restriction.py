"""A trie restricted for each user while it is searched: no path may end in an item that is not permitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from promise.ids.trie import Children, Trie
from promise.search.filters.item_lists import ItemLists, Permitted, named
from promise.search.protocols import Batch, Items


class Open(NamedTuple):
    """The part of a trie that lists for all users leave open.

    Attributes:
        nodes: For each depth 0..L (N_depth,) bool, True above a leaf that is open.
        counted: (I + 1,) int32, open leaves before each leaf, and all of them.
    """

    nodes: list[Tensor]
    counted: Tensor

    @classmethod
    def of(cls, trie: Trie, leaves: Tensor) -> "Open":
        """From the leaves (I,) bool that are open."""
        counted = F.pad(leaves.cumsum(0, dtype=torch.int32), (1, 0))
        before = (counted[trie.leaf_bounds(depth)] for depth in range(trie.levels))
        return cls([*(count[1:] > count[:-1] for count in before), leaves], counted)


@dataclass(frozen=True)
class Restriction:
    """The part of a trie that is open to each user of one call.

    Equal to a trie rebuilt for each user without the other items: probabilities are normalised over what is left.

    Attributes:
        trie: The catalogue's trie.
        permitted: The leaves that are open; None = all of them.
        nodes: As `Open.nodes`; None = nothing is closed to all, or all depends on `paths`.
        paths: For each depth 0..L the nodes (B, n) above a user's own leaves, ascending after -1; empty = no own.
        marks: For each depth 0..L which of them (B, n) lead to open leaves (`permitted.only`), or to lost ones
            alone (`permitted.less`).
    """

    trie: Trie
    permitted: Permitted | None = None
    nodes: list[Tensor] | None = None
    paths: Sequence[Tensor] = ()
    marks: Sequence[Tensor] = ()

    def rows(self, part: slice) -> "Restriction":
        """The same for some of the users."""
        if self.permitted is None:
            return self
        paths, marks = ([table[part] for table in tables] for tables in (self.paths, self.marks))
        return replace(self, permitted=self.permitted.rows(part), paths=paths, marks=marks)

    def narrow(self, scores: Tensor) -> Tensor:
        """Scores (B, I) by leaf, -inf where it is not open."""
        return scores if self.permitted is None else self.permitted.narrow(scores)

    def children(self, depth: int, nodes: Tensor) -> Children:
        """The children (B, W, M) of nodes (B, W) of a depth 0..L-1; valid are those above a permitted item."""
        return self.permit(depth, nodes, self.trie.children_of(depth, nodes))

    def permit(self, depth: int, nodes: Tensor, children: Children) -> Children:
        """Narrows `valid` of the children (B, W, M) of nodes (B, W) to those above a permitted item."""
        valid = children.valid
        if self.nodes is not None:
            valid = valid & self.nodes[depth + 1][children.nodes]
        if self.permitted is not None and self.paths:
            hit = hits(nodes, children, self.paths[depth], self.paths[depth + 1], self.marks[depth + 1])
            valid = valid & (~hit if self.permitted.only is None else hit)
        return children._replace(valid=valid)


class Restrictions:
    """Builds the restriction of each call from its lists and those of every call, as `ItemLists` joins them.

    Tables (4 bytes an item and 1 a node) are built when the first list comes.

    Args:
        trie: The catalogue's trie.
        remove_seen, allow, deny: As `ItemLists` takes them.

    Raises:
        ValueError: If a list holds anything but items of the catalogue, or `allow` is empty.
    """

    def __init__(
        self, trie: Trie, *, remove_seen: bool = False, allow: Items | None = None, deny: Items | None = None
    ) -> None:
        self.trie = trie
        self.remove_seen = remove_seen
        self.always = named(allow, deny)
        if self.always:
            _ = self.open  # a wrong list shows now

    @cached_property
    def lists(self) -> ItemLists:
        """The lists by leaf."""
        place = self.trie.item_nodes(self.trie.levels).int()
        return ItemLists(self.trie.items, remove_seen=self.remove_seen, place=place, **self.always)

    @cached_property
    def open(self) -> Open | None:
        """The part that is open to everyone in every call; None = all."""
        return None if self.lists.everyone is None else Open.of(self.trie, self.lists.everyone)

    def of(self, batch: Batch, allow: Items | None = None, deny: Items | None = None) -> Restriction:
        """The restriction of a batch of users, by the lists of one call as `ItemLists.of` takes them.

        Raises:
            ValueError: As `ItemLists.of`.
        """
        if not (self.remove_seen or self.always or named(allow, deny)):
            return Restriction(self.trie)
        permitted = self.lists.of(batch, allow, deny)
        everyone = None
        if permitted.everyone is not None and permitted.only is None:
            kept = permitted.everyone is self.lists.everyone
            everyone = self.open if kept else Open.of(self.trie, permitted.everyone)
        paths = [] if permitted.own is None else paths_to(self.trie, permitted.own)
        marks = [nodes >= 0 for nodes in paths]
        if permitted.only is None:
            marks = [self.spent(depth, nodes, everyone) for depth, nodes in enumerate(paths)]
        return Restriction(self.trie, permitted, everyone.nodes if everyone else None, paths, marks)

    def spent(self, depth: int, nodes: Tensor, everyone: Open | None) -> Tensor:
        """(B, n) bool, nodes of a depth, one above each leaf that a user loses, that have no other open leaf."""
        lost = torch.searchsorted(nodes, nodes, right=True) - torch.searchsorted(nodes, nodes)
        begin, end = self.trie.leaf_range(depth, nodes)
        total = end - begin if everyone is None else everyone.counted[end] - everyone.counted[begin]
        return (lost == total) & (nodes >= 0)


def paths_to(trie: Trie, leaves: Tensor) -> list[Tensor]:
    """For each depth 0..L the node of that depth (B, n) above each leaf (B, n); -1 for -1."""
    nodes = [leaves]
    for depth in range(trie.levels, 0, -1):
        nodes.append(trie.parent(depth, nodes[-1]))
    return nodes[::-1]


def hits(nodes: Tensor, children: Children, above: Tensor, below: Tensor, marks: Tensor) -> Tensor:
    """A mask of the children that are marked.

    Args:
        nodes: (B, W), in any order, repeats allowed.
        children: Children (B, W, M) of each.
        above: (B, n) nodes of the same depth.
        below: (B, n) a child of each.
        marks: (B, n), which of these children are meant.

    Returns:
        (B, W, M) bool.
    """
    ordered, order = nodes.sort(dim=1)
    width, fan_out = children.nodes.shape[1:]
    row = torch.searchsorted(ordered, above).clamp_max(width - 1)
    marks = marks & (ordered.gather(1, row) == above)
    beam = order.gather(1, row)  # of equal nodes the first in `ordered`
    slot = below - children.nodes[:, :, 0].gather(1, beam)  # children are numbered in a row
    flat = (beam * fan_out + slot).where(marks, width * fan_out)  # the others meet a column that is cut off
    found = torch.zeros(len(nodes), width * fan_out + 1, dtype=torch.bool, device=nodes.device)
    found = found.scatter_(1, flat, True)[:, :-1].unflatten(1, (width, fan_out))
    first = order.gather(1, torch.searchsorted(ordered, nodes.contiguous()))  # equal nodes share what was found
    return found[torch.arange(len(nodes), device=nodes.device)[:, None], first]
