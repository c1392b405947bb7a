"""SemanticIds: checks, fingerprint, file; paths sorted and numbered as Python does."""

from pathlib import Path

import numpy as np
import pytest

from promise.ids.semantic_ids import SemanticIds, path_order, prefix_numbers

CODES = np.array([[1, 0], [0, 2], [0, 0]], dtype=np.int32)


def test_paths_are_sorted_and_numbered_as_python_does() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        high = int(rng.choice([1, 2, 4, 300, 70_000]))
        codes = rng.integers(high, size=(rng.integers(1, 40), rng.integers(1, 5))).astype(np.int32)
        codes = codes[rng.integers(len(codes), size=len(codes))]  # repeats
        rows = [tuple(row) for row in codes.tolist()]
        assert path_order(codes).tolist() == sorted(range(len(rows)), key=lambda item: (rows[item], item))
        assert prefix_numbers(codes)[-1].tolist() == [sorted(set(rows)).index(row) for row in rows]


def test_fingerprint_changes_with_everything_that_counts() -> None:
    ids = SemanticIds(CODES, (2, 3), {})
    assert len(ids.fingerprint) == 16 and int(ids.fingerprint, 16) >= 0
    for same in (CODES.astype(np.int64), np.asfortranarray(CODES)):
        assert ids.fingerprint == SemanticIds(np.asarray(same), (2, 3), {"a": 1}).fingerprint
    others = [
        SemanticIds(CODES[::-1], (2, 3), {}),
        SemanticIds(CODES, (2, 4), {}),
        SemanticIds(CODES[:2], (2, 3), {}),
        SemanticIds(np.array([[1, 1], [0, 2], [0, 0]]), (2, 3), {}),
        SemanticIds(CODES, (2, 3), {}, np.array([0, 1, 2])),
        SemanticIds(CODES, (2, 3), {}, np.array([0, 2, 1])),
    ]
    assert len({ids.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    ids = SemanticIds(CODES, (2, 3), {"items": 3, "entropy_bits": [0.5, 1.5], "note": "größe"})
    path = tmp_path / "semantic ids"
    ids.save(path)
    back = SemanticIds.load(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["semantic ids"]
    assert np.array_equal(back.codes, ids.codes) and back.codes.dtype == np.int32
    assert back.level_sizes == (2, 3) and back.quality == ids.quality
    assert back.fingerprint == ids.fingerprint and back.ranks is None


def test_ranks_of_items_that_share_a_path_are_kept(tmp_path: Path) -> None:
    ids = SemanticIds(CODES[[0, 0, 1]], (2, 3), {}, np.array([5, 0, 2], np.int32))
    ids.save(tmp_path / "ids.npz")
    back = SemanticIds.load(tmp_path / "ids.npz")
    assert back.ranks is not None and back.ranks.tolist() == [5, 0, 2] and back.fingerprint == ids.fingerprint
    with pytest.raises(ValueError, match=r"^items 0 and 1 share one semantic ID$"):
        SemanticIds(CODES[[0, 0, 1]], (2, 3), {}, np.array([5, 5, 2]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ids.path must be a file of semantic IDs, found none at .*gone.npz"):
        SemanticIds.load(tmp_path / "gone.npz")
    with pytest.raises(ValueError, match="found none at"):
        SemanticIds.load(tmp_path)


def test_anything_else_than_a_saved_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "ids.npz"
    SemanticIds(CODES, (2, 3), {}).save(path)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 4 : len(whole) // 2] = b"\xff" * (len(whole) // 2 - len(whole) // 4)
    for content in (b"", b"hello\n", b"\x80\x04K\x01.", whole[:100], whole[:-30], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"ids.path: .*ids.npz holds no semantic IDs"):
            SemanticIds.load(path)
    for arrays in (
        {"codes": CODES},
        {"codes": CODES, "level_sizes": [1, 3], "quality": "{}"},
        {"codes": CODES, "level_sizes": 3, "quality": "{}"},
        {"codes": CODES, "level_sizes": [2, 3], "quality": "{"},
        {"codes": CODES[[0, 0]], "level_sizes": [2, 3], "quality": "{}"},
    ):
        with open(path, "wb") as file:
            np.savez(file, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="holds no semantic IDs"):
            SemanticIds.load(path)
    with open(path, "wb") as file:
        np.save(file, CODES)
    with pytest.raises(ValueError, match="holds no semantic IDs"):
        SemanticIds.load(path)


@pytest.mark.parametrize(
    ("codes", "sizes", "message"),
    [
        ([[0, 1], [1, 0], [0, 1]], (2, 2), "items 0 and 2 share one semantic ID"),
        ([[0, 1], [0, 2]], (1, 2), r"codes of level 2 must lie in 0 .. 1, got 2 for item 1"),
        ([[0], [-1]], (3,), r"codes of level 1 must lie in 0 .. 2, got -1 for item 1"),
        ([[0], [1]], (2, 2), "1 levels, 2 sizes"),
        (np.zeros((2, 0), dtype=int), (), r"got shape \(2, 0\)"),
        ([[True]], (2,), "codes must be integers, got bool"),
    ],
)
def test_refuses_what_are_no_ids(codes: list, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SemanticIds(np.asarray(codes), sizes, {})
