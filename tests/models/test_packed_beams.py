"""PackedBeams: packing the marked beams and laying them out again."""

import torch

from promise.models.packed_beams import PackedBeams

NEEDED = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
BEAMS = torch.arange(9).view(3, 3)


def test_marked_beams_are_packed_in_order_and_laid_out_by_user_and_by_beam() -> None:
    rows, packed = PackedBeams.of(NEEDED, 3, 3), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert rows.take(BEAMS).tolist() == [0, 2, 7] and rows.most == 2
    assert rows.numbers(torch.device("cpu")).tolist() == [[0, 0, 1], [0, 0, 0], [0, 2, 0]]
    spread = rows.by_user(packed)
    assert spread.tolist() == [[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[5, 6], [0, 0]]]
    assert torch.equal(rows.flat(spread), packed)
    by_beam = rows.by_beam(packed)
    assert torch.equal(by_beam[NEEDED], packed) and not by_beam[~NEEDED].any()


def test_no_beam_at_all() -> None:
    rows = PackedBeams.of(torch.zeros(2, 3, dtype=torch.bool), 2, 3)
    assert rows.most == 0 and len(rows.take(BEAMS[:2])) == 0
    assert rows.by_user(torch.empty(0, 4)).shape == (2, 0, 4)
    assert not rows.by_beam(torch.empty(0, 4)).any()
