"""A trie restricted for each user while it is searched: no path may end in an item that is not permitted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from promise.ids.trie import Children, Trie
from promise.search.filters.item_lists import ItemLists, Permitted
from promise.search.protocols import Batch, Items


@dataclass(frozen=True)
class Restriction:
    """The part of a trie that is open to each user of one call.

    Equal to a trie rebuilt for each user without the other items: probabilities are normalised over what is left. The
    depths are all of the trie, that of its places included.

    Attributes:
        trie: The catalogue's trie.
        permitted: The places that are open; None = all of them.
        nodes: For each depth (N_depth,) bool, True above a place that is open to all; None = all are.
        paths: For each depth nodes (B, n) above the places that a user loses, ascending after -1; empty = none.
        spent: For each depth which of them (B, n) lead to lost places alone.
    """

    trie: Trie
    permitted: Permitted | None = None
    nodes: list[Tensor] | None = None
    paths: Sequence[Tensor] = ()
    spent: Sequence[Tensor] = ()

    def rows(self, part: slice) -> "Restriction":
        """The same for some of the users."""
        if self.permitted is None:
            return self
        paths, spent = ([table[part] for table in tables] for tables in (self.paths, self.spent))
        return replace(self, permitted=self.permitted.rows(part), paths=paths, spent=spent)

    def narrow(self, scores: Tensor) -> Tensor:
        """Scores (B, I) by place, -inf where it is not open."""
        return scores if self.permitted is None else self.permitted.narrow(scores)

    def children(self, depth: int, nodes: Tensor) -> Children:
        """The children (B, W, M) of nodes (B, W) of a depth; valid are those above a permitted item."""
        return self.permit(depth, nodes, self.trie.children_of(depth, nodes))

    def items(self, leaves: Tensor, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k best items at leaves: those of the best leaf, in its order, then those of the next.

        Args:
            leaves: (B, W) distinct open leaves, best first, -1 after the last.
            scores: (B, W) of the leaves.
            k: Items wanted; fewer are returned only when there is no room for more at the leaves.

        Returns:
            Items and scores (B, k), -1 and -inf where there is none.
        """
        trie, leaves, scores = self.trie, leaves[:, :k], scores[:, :k]
        if trie.place_depth > trie.levels:
            found = self.children(trie.levels, leaves)  # (B, W, M)
            open_places = found.valid.flatten(1)
            first = (~open_places).byte().sort(dim=1, stable=True).indices[:, :k]
            leaves = found.nodes.flatten(1).masked_fill(~open_places, -1).gather(1, first)
            scores = scores[:, :, None].expand(found.valid.shape).flatten(1).masked_fill(~open_places, -torch.inf)
            scores = scores.gather(1, first)
        return trie.item_of(leaves, trie.place_depth), scores

    def permit(self, depth: int, nodes: Tensor, children: Children) -> Children:
        """Narrows `valid` of the children (B, W, M) of nodes (B, W) to those above a permitted item."""
        valid = children.valid
        if self.nodes is not None:
            valid = valid & self.nodes[depth + 1][children.nodes]
        if self.paths:
            valid = valid & ~hits(nodes, children, self.paths[depth], self.paths[depth + 1], self.spent[depth + 1])
        return children._replace(valid=valid)


class Restrictions:
    """Builds the restriction of each call from lists and the users' past, as `ItemLists` joins them.

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
        self.lists: ItemLists | None = None
        if remove_seen or allow is not None or deny is not None:
            place = trie.item_nodes(trie.place_depth).int()
            self.lists = ItemLists(trie.items, remove_seen=remove_seen, allow=allow, deny=deny, place=place)

    @cached_property
    def counted(self) -> Tensor | None:
        """(I + 1,) int32, places open to all before each place, and all of them; None = every place is."""
        if self.lists is None or self.lists.everyone is None:
            return None
        return F.pad(self.lists.everyone.cumsum(0, dtype=torch.int32), (1, 0))

    @cached_property
    def nodes(self) -> list[Tensor] | None:
        """As `Restriction.nodes`."""
        if self.counted is None:
            return None
        return [self.counted[self.trie.leaf_bounds(depth)].diff() > 0 for depth in range(self.trie.place_depth + 1)]

    def of(self, batch: Batch) -> Restriction:
        """The restriction of a batch of users."""
        if self.lists is None:
            return Restriction(self.trie)
        permitted = self.lists.of(batch)
        paths = [] if permitted.less is None else paths_to(self.trie, permitted.less)
        spent = [self.spent(depth, nodes) for depth, nodes in enumerate(paths)]
        return Restriction(self.trie, permitted, self.nodes, paths, spent)

    def spent(self, depth: int, nodes: Tensor) -> Tensor:
        """(B, n) bool, nodes of a depth, one above each place that a user loses, that have no other open place."""
        lost = torch.searchsorted(nodes, nodes, right=True) - torch.searchsorted(nodes, nodes)
        begin, end = self.trie.leaf_range(depth, nodes)
        total = end - begin if self.counted is None else self.counted[end] - self.counted[begin]
        return (lost == total) & (nodes >= 0)


def paths_to(trie: Trie, places: Tensor) -> list[Tensor]:
    """For each depth, from 0, the node of that depth (B, n) above each place (B, n); -1 for -1."""
    nodes = [places]
    for depth in range(trie.place_depth, 0, -1):
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
    found = torch.zeros(nodes.shape[0], width * fan_out + 1, dtype=torch.bool, device=nodes.device)
    found = found.scatter_(1, flat, True)[:, :-1].unflatten(1, (width, fan_out))
    first = order.gather(1, torch.searchsorted(ordered, nodes.contiguous()))  # equal nodes share what was found
    return found[torch.arange(nodes.shape[0], device=nodes.device)[:, None], first]
