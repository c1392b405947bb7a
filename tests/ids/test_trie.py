"""Trie against a dictionary trie in plain Python, over many small random worlds."""

import itertools

import numpy as np
import pytest
import torch

from promise.ids import trie as trie_module
from promise.ids.trie import Trie


def random_world(seed: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Unique paths with uneven levels, sometimes single-child chains, sometimes one item."""
    rng = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in rng.choice([1, 1, 2, 3, 5, 9, 300], size=rng.integers(1, 5)))
    wanted = int(rng.choice([1, 2, 3, 10, 60]))
    paths = np.stack([rng.integers(size, size=wanted) for size in sizes], axis=1)
    paths = np.unique(paths, axis=0)
    return rng.permutation(paths), sizes


class DictionaryTrie:
    """The oracle: every prefix in a dictionary, children by looking at all of them."""

    def __init__(self, paths: np.ndarray) -> None:
        self.paths = [tuple(int(code) for code in path) for path in paths]
        self.levels = len(self.paths[0])
        self.nodes = [sorted({path[:depth] for path in self.paths}) for depth in range(self.levels + 1)]

    def children(self, depth: int, node: int) -> list[tuple[int, int]]:
        prefix = self.nodes[depth][node]
        return [(i, path[-1]) for i, path in enumerate(self.nodes[depth + 1]) if path[:-1] == prefix]


@pytest.fixture(params=["dense", "flat"])
def table_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with and without the dense tables of allowed codes."""
    if request.param == "flat":
        monkeypatch.setattr(trie_module, "DENSE_BYTES", 0)


@pytest.mark.usefixtures("table_bytes")
def test_equals_a_dictionary_trie() -> None:
    for seed in range(100):
        codes, sizes = random_world(seed)
        trie, oracle = Trie(codes, sizes), DictionaryTrie(codes)
        assert trie.levels == len(sizes) and trie.level_sizes == sizes and trie.items == len(codes)
        assert trie.nodes == tuple(len(nodes) for nodes in oracle.nodes)
        assert [oracle.nodes[-1].index(path) for path in oracle.paths] == trie.item_nodes(trie.levels).tolist()
        assert [oracle.paths.index(path) for path in oracle.nodes[-1]] == trie.leaf_items.tolist()
        for depth in range(trie.levels + 1):
            prefixes = oracle.nodes[depth]
            assert trie.prefixes(depth).shape == (len(prefixes), depth)
            assert [tuple(row) for row in trie.prefixes(depth).tolist()] == prefixes
            nodes = [prefixes.index(path[:depth]) for path in oracle.paths]
            assert trie.item_nodes(depth).tolist() == nodes
            assert trie.leaf_counts(depth).tolist() == [nodes.count(node) for node in range(len(prefixes))]
        for depth in range(trie.levels):
            expected = [oracle.children(depth, node) for node in range(trie.nodes[depth])]
            assert trie.child_counts(depth).tolist() == [len(row) for row in expected]
            assert trie.fan_out[depth] == max(len(row) for row in expected)
            found = trie.children_of(depth, torch.arange(trie.nodes[depth]))
            mask = trie.allowed(depth, torch.arange(trie.nodes[depth]))
            assert found.valid.shape == (trie.nodes[depth], trie.fan_out[depth])
            assert mask.shape == (trie.nodes[depth], sizes[depth])
            for row, *answers, codes_allowed in zip(
                expected, *(answer.tolist() for answer in (*found, mask)), strict=True
            ):
                assert [(node, code) for node, code, valid in zip(*answers, strict=True) if valid] == row
                assert [code for code, yes in enumerate(codes_allowed) if yes] == [code for _, code in row]
            assert int(found.nodes.min()) >= 0 and int(found.nodes.max()) < trie.nodes[depth + 1]
            assert int(found.codes.min()) >= 0 and int(found.codes.max()) < sizes[depth]


def test_node_of_finds_exactly_the_paths_that_are_there() -> None:
    for seed in range(100):
        codes, sizes = random_world(seed)
        trie, oracle = Trie(codes, sizes), DictionaryTrie(codes)
        for depth in range(trie.levels + 1):
            ranges = [range(-1, size + 1) for size in sizes[:depth]]
            tries = list(itertools.islice(itertools.product(*ranges), 300)) + oracle.nodes[depth]
            index = {prefix: node for node, prefix in enumerate(oracle.nodes[depth])}
            paths = torch.tensor(tries, dtype=torch.int64).reshape(len(tries), depth)
            assert trie.node_of(paths).tolist() == [index.get(path, -1) for path in tries]


@pytest.mark.usefixtures("table_bytes")
def test_a_missing_node_has_no_children_and_no_item() -> None:
    for seed in range(50):
        codes, sizes = random_world(seed)
        trie = Trie(codes, sizes)
        none = torch.tensor([[-1], [0]])
        for depth in range(trie.levels):
            found = trie.children_of(depth, none)
            assert found.valid.any(dim=-1).tolist() == [[False], [True]]
            assert int(found.nodes.min()) >= 0 and int(found.nodes.max()) < trie.nodes[depth + 1]
            assert trie.allowed(depth, none).any(dim=-1).tolist() == [[False], [True]]
            for code in range(sizes[depth]):
                assert int(trie.child(depth, none, torch.full((2, 1), code))[0]) == -1
        assert trie.item_of(none).tolist() == [[-1], [int(trie.leaf_items[0])]]


def test_code_types_reach_their_level_size() -> None:
    for size in (256, 257, 2**15, 2**15 + 1, 70_000):
        codes = np.array([[0], [size - 1], [size // 2]])
        trie = Trie(codes, (size,))
        assert trie.prefixes(1).flatten().tolist() == [0, size // 2, size - 1]
        assert trie.node_of(torch.from_numpy(codes)).tolist() == [0, 2, 1]
        assert int(trie.allowed(0, torch.tensor(0)).sum()) == 3


def test_parents_leaves_and_branching_nodes() -> None:
    for seed in range(100):
        codes, sizes = random_world(seed)
        trie, oracle = Trie(codes, sizes), DictionaryTrie(codes)
        for depth in range(trie.levels + 1):
            nodes = torch.arange(-1, trie.nodes[depth])
            leaves = [[i for i, path in enumerate(oracle.nodes[-1]) if path[:depth] == p] for p in oracle.nodes[depth]]
            begin, end = trie.leaf_range(depth, nodes)
            found = [list(range(a, b)) for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
            assert found == [[], *leaves]
            assert trie.leaf_bounds(depth).tolist() == [below[0] for below in leaves] + [trie.items]
            assert trie.branching(depth).tolist() == [len(below) > 1 for below in leaves]
            if depth:
                above = [oracle.nodes[depth - 1].index(prefix[:-1]) for prefix in oracle.nodes[depth]]
                assert trie.parent(depth, nodes).tolist() == [-1, *above]
                assert trie.last_code(depth, nodes[1:]).tolist() == [prefix[-1] for prefix in oracle.nodes[depth]]
                twice = nodes.repeat(2, 1).t()  # not contiguous
                assert torch.equal(trie.parent(depth, twice)[:, 1], trie.parent(depth, nodes))


def test_appended_equals_a_trie_built_at_once() -> None:
    for seed in range(100):
        codes, sizes = random_world(seed)
        old = Trie(codes[: 1 + seed % len(codes)], sizes)
        whole, grown = Trie(codes, sizes), old.appended(codes[old.items :])
        assert grown.level_sizes == old.level_sizes and grown.items == len(codes)
        assert grown.nodes == whole.nodes and grown.fan_out == whole.fan_out
        assert all(torch.equal(a, b) for a, b in zip(grown.buffers(), whole.buffers(), strict=True))
        for depth in range(old.levels + 1):
            expected = whole.node_of(old.prefixes(depth))
            assert torch.equal(old.moved(depth, grown), expected)
            assert torch.equal(old.moved(depth, old), torch.arange(old.nodes[depth]))


def shared_world(seed: int) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """A random world whose paths have up to four items each, and any order of these."""
    codes, sizes = random_world(seed)
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(codes, rng.integers(1, 5, size=len(codes)), axis=0))
    return codes, sizes, rng.permutation(len(codes))


def test_items_share_leaves_in_the_order_of_their_ranks() -> None:
    for seed in range(100):
        codes, sizes, ranks = shared_world(seed)
        trie, paths = Trie(codes, sizes, ranks), [tuple(row) for row in codes.tolist()]
        alone = Trie(np.unique(codes, axis=0), sizes)
        assert (trie.levels, trie.nodes, trie.fan_out) == (alone.levels, alone.nodes, alone.fan_out)
        order = sorted(range(len(paths)), key=lambda item: (paths[item], ranks[item]))
        assert trie.items == len(paths) and trie.leaf_items.tolist() == order
        assert trie.item_nodes(trie.place_depth).tolist() == [order.index(item) for item in range(len(paths))]
        for depth in range(trie.levels + 1):
            prefixes = sorted({path[:depth] for path in paths})
            below = [[place for place, item in enumerate(order) if paths[item][:depth] == p] for p in prefixes]
            assert trie.item_nodes(depth).tolist() == [prefixes.index(path[:depth]) for path in paths]
            assert trie.leaf_counts(depth).tolist() == [len(places) for places in below]
            assert torch.equal(trie.prefixes(depth), alone.prefixes(depth))
            assert torch.equal(trie.branching(depth), alone.branching(depth))
            nodes = torch.arange(-1, len(prefixes))
            assert trie.item_of(nodes, depth).tolist() == [-1, *(order[places[0]] for places in below)]
        leaves = torch.arange(trie.nodes[-1])
        found = trie.children_of(trie.levels, leaves)
        assert trie.leaf_size == found.valid.shape[1] == max(map(len, below))
        shown = zip(found.nodes.tolist(), found.valid.tolist(), strict=True)
        assert [[node for node, there in zip(*row, strict=True) if there] for row in shown] == below
        above = trie.parent(trie.place_depth, torch.arange(trie.items))
        assert above.tolist() == trie.item_nodes(trie.levels)[trie.leaf_items].tolist()


def test_new_items_come_last_at_a_shared_leaf() -> None:
    for seed in range(50):
        codes, sizes, ranks = shared_world(seed)
        old = Trie(codes[: 1 + seed % len(codes)], sizes, ranks[: 1 + seed % len(codes)])
        grown = old.appended(codes[old.items :])
        later = np.where(np.arange(len(codes)) < old.items, ranks, len(codes) + np.arange(len(codes)))
        assert grown.leaf_items.tolist() == Trie(codes, sizes, later).leaf_items.tolist()
        for depth in range(old.levels + 1):
            assert torch.equal(old.moved(depth, grown), grown.node_of(old.prefixes(depth)))


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ([0, 0, 1], r"^items 0 and 1 share one semantic ID$"),
        ([0, 1], r"^ranks must be 3 integers, got int64 of shape \(2,\)$"),
        ([0.0, 1.0, 2.0], r"^ranks must be 3 integers, got float64 of shape \(3,\)$"),
        ([0, -1, 2], r"^ranks must be >= 0, got -1$"),
    ],
)
def test_refuses_ranks_that_give_no_order(ranks: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trie([[0, 1], [0, 1], [1, 1]], (2, 2), np.array(ranks))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 2], [0, 1]], r"^items 0 and 3 share one semantic ID$"),
        (torch.tensor([[1, 0], [1, 0]]), r"^items 2 and 3 share one semantic ID$"),
        ([[1, 3]], r"^codes of level 2 must lie in 0 \.\. 2, got 3 for item 2$"),
        ([[0.0, 2.0]], r"^codes must be integers, got float64$"),
        ([0, 2], r"^codes must be a table \(items, 2\), got shape \(2,\)$"),
    ],
)
def test_refuses_what_cannot_be_appended(codes: object, message: str) -> None:
    trie = Trie([[0, 1], [1, 1]], (2, 3))
    with pytest.raises(ValueError, match=message):
        trie.appended(codes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "sizes", "message"),
    [
        (np.zeros((0, 3), dtype=int), (1, 1, 1), r"no empty side, got shape \(0, 3\)"),
        ([0, 1], (2,), r"codes must be a table \(items, levels\)"),
        ([[0.5]], (1,), "codes must be integers, got float64"),
        ([[0]], (2**31,), r"must be < 2\*\*31"),
    ],
)
def test_refuses_what_is_no_catalogue(codes: object, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trie(codes, sizes)  # type: ignore[arg-type]


def test_refuses_a_depth_that_is_not_there() -> None:
    trie = Trie([[0, 0]], (1, 1))
    nodes = torch.zeros(1, dtype=torch.int64)
    for ask in (trie.children_of, trie.allowed):
        for depth in (-1, 2):
            with pytest.raises(ValueError, match=rf"depth must lie in 0 .. 1, got {depth}"):
                ask(depth, nodes)
    for whole in (trie.prefixes, trie.item_nodes, trie.leaf_counts, trie.branching):
        with pytest.raises(ValueError, match=r"depth must lie in 0 .. 2, got 3"):
            whole(3)
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=rf"^depth must lie in 1 \.\. 2, got {wrong}$"):
            trie.parent(wrong, nodes)
    with pytest.raises(ValueError, match=r"^depth must lie in 0 \.\. 2, got 3$"):
        trie.leaf_range(3, nodes)
    with pytest.raises(ValueError, match="paths must have at most 2 codes, got 3"):
        trie.node_of(torch.zeros(1, 3, dtype=torch.int64))


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu_without_waiting_for_the_host() -> None:
    codes, sizes = random_world(11)
    here = Trie(codes, sizes)
    there = Trie(codes, sizes).to("cuda")
    paths = torch.from_numpy(codes)
    cuda_paths = paths.to("cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        leaves = there.node_of(cuda_paths)
        items = there.item_of(leaves)
        tables = [there.prefixes(there.levels), there.item_nodes(1), there.allowed(0, leaves * 0)]
        found = there.children_of(0, leaves * 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert items.tolist() == list(range(len(codes)))
    expected = [here.prefixes(here.levels), here.item_nodes(1), here.allowed(0, here.node_of(paths) * 0)]
    assert all(torch.equal(a.cpu(), b) for a, b in zip(tables, expected, strict=True))
    assert torch.equal(found.codes.cpu(), here.children_of(0, here.node_of(paths) * 0).codes)
