"""Histories: the worked example, a plain-Python oracle, memory maps, checks."""

import pickle
import random

import numpy as np
import pytest

from promise.data.histories import Histories, pad_rows


def histories(*users: list[int], item_count: int = 10) -> Histories:
    offsets = np.cumsum([0, *map(len, users)])
    return Histories(np.concatenate(users).astype(np.int32), offsets, item_count)


@pytest.mark.parametrize("seed", range(20))
def test_history_is_the_plain_slice(seed, tmp_path):
    draw = random.Random(seed)
    lists = [[draw.randrange(10) for _ in range(draw.randint(3, 12))] for _ in range(draw.randint(1, 8))]
    memory = histories(*lists)
    memory.save(tmp_path)
    users = np.array([draw.randrange(len(lists)) for _ in range(draw.randint(1, 10))])
    limit = draw.choice([None, 1, 2, 5, 100])
    for one in (memory, Histories.open(tmp_path)):
        for split, end in (("test", -1), ("validation", -2)):
            expected = [lists[user][:end][-limit if limit else None :] for user in users]
            items, lengths = one.history(split, users, limit)
            assert lengths.tolist() == [len(row) for row in expected]
            width = max(1, *map(len, expected))
            assert items.tolist() == [row + [0] * (width - len(row)) for row in expected]


def test_pad_rows_never_reads_past_the_end():
    assert pad_rows(np.array([5, 6]), np.array([1, 2]), np.array([1, 0])).tolist() == [[6], [0]]


def test_opened_histories_are_memory_maps_also_in_another_process(tmp_path):
    histories([1, 2, 3], [4, 5, 6]).save(tmp_path)
    opened = Histories.open(tmp_path)
    assert isinstance(opened.items, np.memmap)
    assert len(pickle.dumps(opened)) < 1000
    again = pickle.loads(pickle.dumps(opened))
    assert isinstance(again.items, np.memmap)
    assert again.items.tolist() == [1, 2, 3, 4, 5, 6]
    memory = pickle.loads(pickle.dumps(histories([1, 2, 3])))
    assert (memory.items.tolist(), memory.item_count, len(memory)) == ([1, 2, 3], 10, 1)


def test_open_names_what_is_missing_or_broken(tmp_path):
    with pytest.raises(ValueError, match=r"cannot open the histories in .*items.npy"):
        Histories.open(tmp_path)
    histories([1, 2, 3]).save(tmp_path)
    (tmp_path / "histories.json").write_text("{}")
    with pytest.raises(ValueError, match=r"cannot open the histories in .*item_count"):
        Histories.open(tmp_path)
    (tmp_path / "items.npy").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"cannot open the histories in"):
        Histories.open(tmp_path)


def parted(*parts: list[int]) -> Histories:
    return Histories(np.array([1, 2, 3, 4, 5], np.int32), np.array([0, 4, 5]), 6, parts=np.array(parts))


def test_parts_of_another_split(tmp_path):
    made = parted([1, 2, 3], [5, -1, -1])
    made.save(tmp_path)
    opened = Histories.open(tmp_path)
    for one in (made, opened, pickle.loads(pickle.dumps(made)), pickle.loads(pickle.dumps(opened))):
        assert [part.tolist() for part in one.training_items()] == [[1, 5], [0, 1, 2]]
        assert [one.evaluated(split).tolist() for split in ("validation", "test")] == [[0], [0]]
        assert [one.targets(split, np.array([0])).item() for split in ("validation", "test")] == [3, 4]
        assert one.history("test", np.array([0]))[0].tolist() == [[1, 2, 3]]
        assert one.lengths("test", np.array([0])).tolist() == [3]
        assert [one.parts_of(user) for user in (0, 1)] == [["training", "none", "validation", "test"], ["training"]]
        with pytest.raises(ValueError, match=r"^user 1 has no test target$"):
            one.targets("test", np.array([0, 1]))
    assert histories([1, 2, 3, 4]).parts_of(0) == ["training", "training", "validation", "test"]
