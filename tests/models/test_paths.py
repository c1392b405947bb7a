"""Path vectors: what a prefix's vector is made of, kept or not, and what becomes of it when the catalogue grows."""

import pytest
import torch

from promise.ids.trie import Trie
from promise.models import paths as path_tables
from promise.models.paths import PathTable, hashed_rows, path_hash, smallest_type

KINDS = ("full", "hashed:7", "none", "own")
NEW = torch.tensor([[0, 0, 0], [3, 4, 2], [1, 2, 0]])


def table(catalogue, kind: str = "full", **changes) -> PathTable:
    torch.manual_seed(0)
    return PathTable(6, kind, **{"prefixes": catalogue.prefixes, "level_sizes": catalogue.sizes, **changes}).eval()


def content_of(prefixes: list[torch.Tensor]) -> list[torch.Tensor]:
    """(N_b, 5) for each depth, drawn."""
    random = torch.Generator().manual_seed(5)
    return [torch.randn(len(codes), 5, generator=random) for codes in prefixes]


def whole(paths: PathTable, depth: int) -> torch.Tensor:
    return torch.cat(list(paths.all(depth)))


@pytest.fixture
def grown(catalogue) -> Trie:
    """The catalogue's trie with those of three items that it has not yet."""
    known = {tuple(codes) for codes in catalogue.codes.tolist()}
    new = [codes for codes in NEW.tolist() if tuple(codes) not in known]
    assert new
    return catalogue.trie.appended(torch.tensor(new))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_path_vector_is_the_sum_of_its_codes_its_own_and_its_content(kind, catalogue):
    content = content_of(catalogue.prefixes)
    paths = table(catalogue, kind, content=content)
    for depth in (1, 2, 3):
        for node, codes in enumerate(catalogue.prefixes[depth - 1]):
            vector = sum(table.weight[code] for table, code in zip(paths.code_vectors, codes, strict=False))
            if paths.own_vectors is not None:
                row = int(path_hash(codes)) % 7 if kind == "hashed:7" else node
                vector = vector + paths.own_vectors[depth - 1].weight[row]
            vector = vector + paths.projection(content[depth - 1][node])
            assert torch.allclose(paths(depth, torch.tensor(node)), vector, atol=1e-6)
            assert torch.allclose(paths.look_up(depth, torch.tensor([[node]]))[0, 0], vector, atol=1e-6)
            assert torch.allclose(whole(paths, depth)[node], vector, atol=1e-6)


@torch.no_grad()
def test_unit_vectors_have_length_1(catalogue):
    long, unit = table(catalogue), table(catalogue, unit=True)
    assert torch.allclose(whole(unit, 3).norm(dim=-1), torch.ones(len(catalogue.prefixes[2])))
    assert torch.allclose(whole(unit, 3) * whole(long, 3).norm(dim=-1, keepdim=True), whole(long, 3), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_vectors_that_are_too_many_to_keep_are_computed_when_asked(kind, catalogue, monkeypatch):
    nodes = torch.tensor([[0, 5, 5], [29, 1, 12]])
    kept = table(catalogue, kind)
    expected, every = kept.look_up(3, nodes), whole(kept, 3)
    assert list(kept.kept) == [3]
    monkeypatch.setattr(path_tables, "KEPT_BYTES", kept.kept[3].nbytes - 1)
    monkeypatch.setattr(path_tables, "NODES_AT_ONCE", 7)
    computed = table(catalogue, kind)
    assert torch.equal(computed.look_up(3, nodes), expected)
    assert [len(part) for part in computed.all(3)] == [7, 7, 7, 7, 2]
    assert torch.equal(whole(computed, 3), every)
    assert not computed.kept
    monkeypatch.setattr(path_tables, "KEPT_BYTES", kept.kept[3].nbytes)
    assert torch.equal(computed.look_up(3, nodes), expected)
    assert torch.equal(computed.kept[3], every)


def test_nothing_is_kept_while_gradients_flow(catalogue):
    paths = table(catalogue)
    nodes = torch.tensor([3])
    paths.look_up(2, nodes).sum().backward()
    assert paths.code_vectors[0].weight.grad.abs().sum() == 6
    with torch.inference_mode():
        paths.look_up(2, nodes)
    assert list(paths.kept) == [2]
    assert paths.look_up(2, nodes).requires_grad


@torch.no_grad()
def test_what_is_kept_is_full_precision_whoever_asks_first(catalogue):
    content = content_of(catalogue.prefixes)
    one, other = table(catalogue, content=content), table(catalogue, content=content)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kept = one.keep(3)
    assert torch.equal(kept, other.keep(3))


def test_prefixes_take_the_least_memory(catalogue):
    paths = table(catalogue)
    assert all(paths.get_buffer(f"prefixes_{depth}").dtype == torch.uint8 for depth in (1, 2, 3))
    kinds = {256: torch.uint8, 257: torch.int16, 2**15: torch.int16, 2**15 + 1: torch.int32}
    assert {size: smallest_type(size) for size in kinds} == kinds
    wide = PathTable(2, "none", prefixes=[torch.tensor([[0], [299]])], level_sizes=(300,))
    assert torch.equal(wide(1, torch.tensor(1)), wide.code_vectors[0].weight[299])


def test_a_path_has_the_same_hash_everywhere():
    codes = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 0, 0], [255, 7, 12]])
    assert path_hash(codes).tolist() == [1394323931, 1467602562, 2788647863, 51925059]
    assert path_hash(codes[:, :2]).tolist() == [path_hash(row[:2]).item() for row in codes]
    assert path_hash(codes.unsqueeze(0)).shape == (1, 4)


@pytest.mark.parametrize("rows", [1000, 4096, 10_007])
@pytest.mark.parametrize("codes", [(65_536,), (256, 256), (16, 16, 16, 16)])
def test_hashes_spread_evenly(rows, codes):
    paths = torch.cartesian_prod(*(torch.arange(size) for size in codes)).view(-1, len(codes))
    counts = (path_hash(paths) % rows).bincount(minlength=rows).double()
    expected = len(paths) / rows
    assert ((counts - expected) ** 2 / expected).sum() / (rows - 1) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_catalogue_leaves_old_vectors_as_they_are(kind, catalogue, grown):
    old_content = content_of(catalogue.prefixes)
    prefixes = [grown.prefixes(depth) for depth in (1, 2, 3)]
    moved = [catalogue.trie.moved(depth, grown) for depth in (1, 2, 3)]
    new_content = [torch.randn(len(codes), 5) for codes in prefixes]
    paths = table(catalogue, kind, content=old_content, unit=True)
    with torch.no_grad():
        before = [whole(paths, depth) for depth in (1, 2, 3)]
        paths.extend(prefixes, moved, new_content)
        for depth, (old, places) in enumerate(zip(before, moved, strict=True), start=1):
            after = whole(paths, depth)
            assert len(after) == grown.nodes[depth]
            assert torch.allclose(after[places], old, atol=1e-6)  # a product rounds otherwise in other company
            for node in set(range(grown.nodes[depth])) - set(places.tolist()):
                codes = prefixes[depth - 1][node]
                vector = sum(table.weight[code] for table, code in zip(paths.code_vectors, codes, strict=False))
                vector = vector + paths.projection(new_content[depth - 1][node])
                if kind == "hashed:7":
                    vector = vector + paths.own_vectors[depth - 1].weight[path_hash(codes) % 7]
                assert torch.allclose(after[node], vector / vector.norm(), atol=1e-6)
    paths.train()(3, torch.arange(grown.items)).sum().backward()
    assert all(weight.grad is not None for weight in paths.code_vectors.parameters())
    if kind in ("full", "own"):
        assert paths.own_vectors[2].weight.grad.shape == (grown.items, 6)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_product_old_vectors_stay_exactly(kind, catalogue, grown):
    paths, depths = table(catalogue, kind), (1, 2, 3)
    before = [whole(paths, depth) for depth in depths]
    moved = [catalogue.trie.moved(depth, grown) for depth in depths]
    paths.extend([grown.prefixes(depth) for depth in depths], moved, None)
    assert all(torch.equal(whole(paths, d)[moved[d - 1]], before[d - 1]) for d in depths)


def test_the_kind_of_a_prefix_table():
    assert [hashed_rows(kind) for kind in ("full", "none", "own", "hashed:1", "hashed:65536")] == [0, 0, 0, 1, 65536]
    for kind in ("half", "hashed", "hashed:", "hashed:0", "hashed:-1", "hashed:07", "hashed:1.5", "hashed:9 ", 5, None):
        with pytest.raises(ValueError) as error:
            hashed_rows(kind)
        message = f"reward.prefix_table must be full, none, own or hashed:N with N >= 1, got {kind}"
        assert str(error.value) == message
