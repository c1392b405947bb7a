"""Trie: the codes that may follow a prefix and the item that a path names, as flat arrays on the device."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from promise.ids.semantic_ids import check_unique, checked_codes, path_order, with_ranks

DENSE_BYTES = 2**24  # per depth; holds the allowed codes of 65,536 nodes of 256 codes


class Children(NamedTuple):
    """The nodes one code deeper, M = the largest number of children at that depth.

    Attributes:
        nodes: (..., M) int64, nodes of depth + 1; legal indices also where `valid` is False.
        codes: (..., M) int64, the code that leads to each; ascending over the valid ones.
        valid: (..., M) bool, False where a node has fewer than M children.
    """

    nodes: Tensor
    codes: Tensor
    valid: Tensor


class Trie(nn.Module):
    """The prefix trie of a catalogue's semantic IDs.

    Nodes of depth b are numbered 0 .. N_b - 1 in lexicographic order of their prefixes, so the children of a
    node are one contiguous range of depth b + 1, and every question is a lookup: no loop over nodes, no wait
    for the device, and an answer's shape depends on the depth alone. A node of -1 ("no such path") may go in
    everywhere: it has no children.

    Where items share leaves there is one more depth, of places: the items of a leaf, in order, are its children, and
    their places are numbered leaf by leaf. Elsewhere a leaf is the place of its item.

    Args:
        codes: (I, L) integers, row i the path of item i; no two rows alike, unless there are ranks.
        level_sizes: (L,) number of codes of each level.
        ranks: (I,) integers >= 0, different where paths are alike, by which the items of a leaf stand in order; None =
            every leaf has one item.

    Attributes:
        levels: L.
        level_sizes: (K_0, ..., K_{L-1}); the children of depth b carry codes 0 .. K_b - 1.
        items: I.
        nodes: (N_0 = 1, ..., N_L), number of nodes of each depth; N_L = I without ranks.
        fan_out: (M_0, ..., M_{L-1}), the largest number of children of a node of each depth.
        place_depth: depth of the places: L, or L + 1 with ranks.
        leaf_size: most items of a leaf.

    Raises:
        ValueError: codes or ranks of the wrong shape or range, or two items with one path and rank.
    """

    _leaf_items: Tensor

    def __init__(
        self, codes: ArrayLike | Tensor, level_sizes: Sequence[int], ranks: NDArray[np.int32] | None = None
    ) -> None:
        super().__init__()
        table = checked_codes(codes.cpu().numpy() if isinstance(codes, Tensor) else codes, level_sizes)
        self.items, self.levels = table.shape
        self.level_sizes = tuple(int(size) for size in level_sizes)
        table, sizes = with_ranks(table, self.level_sizes, ranks)
        self.place_depth = len(sizes)
        order = path_order(table)
        starts = np.zeros(1, dtype=np.int64)  # row of the sorted table at which each node's items begin
        new = np.zeros(self.items, dtype=bool)
        new[0] = True
        nodes, fan_out = [1], []
        for depth, size in enumerate(sizes):
            column = table[order, depth]
            new[1:] |= column[1:] != column[:-1]
            next_starts = np.flatnonzero(new)
            first = np.append(np.searchsorted(next_starts, starts), len(next_starts))
            self._store("first", depth, first, np.int32)
            self._store("code", depth, column[next_starts], _code_type(size))
            nodes.append(len(next_starts))
            fan_out.append(int(np.diff(first).max()))
            starts = next_starts
        check_unique(order, new)
        self.nodes, self.fan_out = tuple(nodes[: self.levels + 1]), tuple(fan_out[: self.levels])
        self.leaf_size = 1 if ranks is None else fan_out[-1]
        self.register_buffer("_leaf_items", torch.from_numpy(order.astype(np.int32)), persistent=False)
        for depth, size in enumerate(self.level_sizes):
            if self.nodes[depth] * size <= DENSE_BYTES:
                rows = torch.cat([torch.arange(self.nodes[depth]), torch.tensor([-1])])  # node -1 meets the last
                self.register_buffer(f"_allowed_{depth}", self._scatter_allowed(depth, rows), persistent=False)

    def _store(self, name: str, depth: int, values: NDArray[np.integer], dtype: type[np.integer]) -> None:
        self.register_buffer(f"_{name}_{depth}", torch.from_numpy(values.astype(dtype)), persistent=False)

    def children_of(self, depth: int, nodes: Tensor) -> Children:
        """(..., M) children of nodes (...,) int64 of a depth, 0 .. L - 1, or L of shared leaves; of -1 none.

        M = fan_out[depth], or leaf_size.
        """
        if not 0 <= depth < self.place_depth:
            raise ValueError(f"depth must lie in 0 .. {self.place_depth - 1}, got {depth}")
        first: Tensor = getattr(self, f"_first_{depth}")
        begin, end = first[nodes].long(), first[nodes + 1].long()  # end < begin for node -1
        most = (*self.fan_out, self.leaf_size)[depth]
        slots = begin[..., None] + torch.arange(most, device=nodes.device)
        valid = slots < end[..., None]
        slots = torch.minimum(slots, end[..., None] - 1).clamp_min(0)
        return Children(slots, getattr(self, f"_code_{depth}")[slots].long(), valid)

    def child(self, depth: int, nodes: Tensor, codes: Tensor) -> Tensor:
        """(...,) int64 node of depth + 1 that codes (...,) lead to from nodes (...,) of a depth, 0 .. L - 1.

        -1 for -1, and where that code may not follow.
        """
        found = self.children_of(depth, nodes)
        hit = found.valid & (found.codes == codes[..., None])
        return found.nodes.masked_fill(~hit, -1).amax(-1)

    def allowed(self, depth: int, nodes: Tensor) -> Tensor:
        """(..., K_depth) bool, the codes that may follow nodes (...,) int64 of a depth, 0 .. L - 1; none for -1."""
        dense: Tensor | None = getattr(self, f"_allowed_{depth}", None)
        return self._scatter_allowed(depth, nodes) if dense is None else dense[nodes]

    def _scatter_allowed(self, depth: int, nodes: Tensor) -> Tensor:
        codes = self.children_of(depth, nodes).codes  # the slots that are not valid repeat the last child
        mask = torch.zeros(*nodes.shape, self.level_sizes[depth], dtype=torch.bool, device=nodes.device)
        return mask.scatter_(-1, codes, True) & (nodes >= 0)[..., None]

    def node_of(self, paths: Tensor) -> Tensor:
        """(...,) int64 node of depth T that prefixes (..., T), T <= L, lead to; -1 where one is not in the trie."""
        if paths.shape[-1] > self.levels:
            raise ValueError(f"paths must have at most {self.levels} codes, got {paths.shape[-1]}")
        nodes = torch.zeros(paths.shape[:-1], dtype=torch.int64, device=paths.device)
        for depth in range(paths.shape[-1]):
            nodes = self.child(depth, nodes, paths[..., depth])
        return nodes

    def item_of(self, leaves: Tensor, depth: int | None = None) -> Tensor:
        """Names the item of each leaf: (...,) int64 nodes of depth L -> (...,) int64, -1 for -1.

        Of shared leaves, and of nodes of another depth, it is the first item below.
        """
        places, _ = self.leaf_range(self.levels if depth is None else depth, leaves)
        return torch.where(leaves >= 0, self._leaf_items[places].long(), -1)

    @property
    def leaf_items(self) -> Tensor:
        """(I,) int64 item of every place, built anew by each call; for a few leaves use `item_of`."""
        return self._leaf_items.long()

    def item_nodes(self, depth: int) -> Tensor:
        """(I,) int64 node of every item's prefix of length `depth`, 0 .. `place_depth`; built by each call: keep it."""
        counts = self.leaf_counts(depth)
        nodes = torch.arange(len(counts), device=counts.device)
        by_leaf = torch.repeat_interleave(nodes, counts, output_size=self.items)
        return torch.empty_like(by_leaf).scatter_(0, self.leaf_items, by_leaf)

    def leaf_bounds(self, depth: int) -> Tensor:
        """(N_depth + 1,) int64: node i of a depth, 0 .. `place_depth`, owns the places out[i] .. out[i + 1] - 1."""
        return self._descendants(depth, self.place_depth)

    def leaf_counts(self, depth: int) -> Tensor:
        """(N_depth,) int64 number of items below every node of a depth, 0 .. `place_depth`; they sum to I."""
        return self.leaf_bounds(depth).diff()

    def child_counts(self, depth: int) -> Tensor:
        """(N_depth,) int64 number of children of every node of a depth, 0 .. L - 1."""
        return self._descendants(depth, depth + 1).diff()

    def prefixes(self, depth: int) -> Tensor:
        """(N_depth, depth) int64 codes of every node of a depth, 0 .. L; built by each call, so keep them."""
        rows = len(self.leaf_counts(depth))
        found = torch.empty(rows, depth, dtype=torch.int64, device=self._leaf_items.device)
        for above in range(1, depth + 1):
            codes, times = getattr(self, f"_code_{above - 1}").long(), self._descendants(above, depth).diff()
            found[:, above - 1] = torch.repeat_interleave(codes, times, output_size=rows)
        return found

    def branching(self, depth: int) -> Tensor:
        """(N_depth,) bool, True at nodes above several leaves: the others have a single way down.

        Built by the first call for a depth, 0 .. L, and kept.
        """
        name = f"_branching_{depth}"
        if name not in self._buffers:
            with torch.inference_mode(False):  # what is kept must serve a training, too
                self.register_buffer(name, self._descendants(depth, self.levels).diff() > 1, persistent=False)
        kept: Tensor = getattr(self, name)
        return kept

    def parent(self, depth: int, nodes: Tensor) -> Tensor:
        """(...,) int64 parents, of depth - 1, of nodes (...,) of a depth, 1 .. `place_depth`; -1 for -1."""
        if not 1 <= depth <= self.place_depth:
            raise ValueError(f"depth must lie in 1 .. {self.place_depth}, got {depth}")
        first: Tensor = getattr(self, f"_first_{depth - 1}")
        return torch.searchsorted(first, nodes.int().contiguous(), right=True) - 1

    def last_code(self, depth: int, nodes: Tensor) -> Tensor:
        """(...,) int64 the codes that lead to nodes (...,) of a depth, 1 .. L, from their parents."""
        stored: Tensor = getattr(self, f"_code_{depth - 1}")
        return stored[nodes].long()

    def leaf_range(self, depth: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """The places below nodes (...,) of a depth, 0 .. `place_depth`: [begin, end), int64; empty for -1."""
        if not 0 <= depth <= self.place_depth:
            raise ValueError(f"depth must lie in 0 .. {self.place_depth}, got {depth}")
        begin, end = nodes.clamp_min(0), nodes + 1
        for step in range(depth, self.place_depth):
            first: Tensor = getattr(self, f"_first_{step}")
            begin, end = first[begin].long(), first[end].long()
        return begin, end

    def appended(self, codes: ArrayLike | Tensor) -> "Trie":
        """The trie of a catalogue that new items have joined, last at leaves that they share; this one stays as it is.

        Args:
            codes: (N, L) integers, row i the path of item I + i; the sizes of the levels stay.

        Returns:
            A new trie of I + N items on the same device; nodes are numbered anew, see `moved`.

        Raises:
            ValueError: codes of the wrong shape or range, or two items with one path.
        """
        new = np.asarray(codes.cpu() if isinstance(codes, Tensor) else codes)
        if new.ndim != 2 or new.shape[1] != self.levels:
            raise ValueError(f"codes must be a table (items, {self.levels}), got shape {new.shape}")
        old = self.prefixes(self.levels)[self.item_nodes(self.levels)].cpu().numpy()
        ranks = None
        if self.place_depth > self.levels:
            ranks = np.append(self.item_nodes(self.place_depth).cpu(), self.items + np.arange(len(new)))
        return Trie(np.concatenate([old, new]), self.level_sizes, ranks).to(self._leaf_items.device)

    def moved(self, depth: int, grown: "Trie") -> Tensor:
        """(N_depth,) int64 node, in a trie that `appended` gave, of every node of a depth, 0 .. L."""
        bounds = self.leaf_bounds(depth)
        leaves = (grown._leaf_items < self.items).nonzero().squeeze(1)  # where the old leaves are, in their order
        return torch.searchsorted(grown.leaf_bounds(depth), leaves[bounds[:-1]], right=True) - 1

    def _descendants(self, depth: int, below: int) -> Tensor:
        """(N_depth + 1,) int64: node i of `depth` owns the nodes [out[i], out[i + 1]) of depth `below`."""
        if not 0 <= depth <= below <= self.place_depth:
            raise ValueError(f"depth must lie in 0 .. {min(below, self.place_depth)}, got {depth}")
        count = (*self.nodes, self.items)[depth]
        bounds = torch.arange(count + 1, device=self._leaf_items.device)
        for step in range(depth, below):
            bounds = getattr(self, f"_first_{step}")[bounds].long()
        return bounds


def _code_type(size: int) -> type[np.integer]:
    """The smallest type that torch can compare and index with for codes 0 .. size - 1."""
    return np.uint8 if size <= 2**8 else np.int16 if size <= 2**15 else np.int32
