"""Beams: extension, cut and the log-softmax over allowed codes, on numbers written out."""

import math

import numpy as np
import pytest
import torch

from promise.ids.trie import Children, Trie
from promise.search.beams import Beams, allowed_log_softmax

INF = math.inf


def children() -> Children:
    """Two beams of one user: nodes 0 (codes 0, 2) and 1 (code 1 only)."""
    trie = Trie(np.array([[0, 0], [0, 2], [1, 1]]), (2, 3))
    return trie.children_of(1, torch.tensor([[0, 1]]))


def two_beams(second: float = -2.0) -> Beams:
    nodes = torch.tensor([[0, 1]])
    return Beams(nodes, nodes, torch.zeros_like(nodes), torch.tensor([[-1.0, second]]))


def test_extend_marks_what_is_not_there() -> None:
    log_probs = torch.tensor([[[-0.5, -3.0], [0.0, -INF]]])
    drafts = two_beams().extend(children(), log_probs, keep=9)
    assert drafts.log_probs.tolist() == [[-1.5, -2.0, -4.0, -INF]]
    assert drafts.kept().tolist() == [[0, 2, 1, -1]]
    absent = two_beams(second=-INF).extend(children(), log_probs, keep=9)
    assert absent.kept().tolist()[0][:2] == [0, 1] and absent.kept()[0, 2:].eq(-1).all()


def test_select_cuts_by_score_and_carries_log_probs() -> None:
    drafts = two_beams().extend(children(), torch.tensor([[[-0.5, -3.0], [0.0, -INF]]]), keep=4)
    beams, scores = drafts.select(torch.tensor([[1.0, 5.0, 7.0, -INF]]), width=2)
    assert scores.tolist() == [[7.0, 5.0]]
    assert beams.log_probs.tolist() == [[-4.0, -2.0]]
    assert beams.nodes.tolist() == [[1, 2]] and beams.parents.tolist() == [[0, 1]]
    assert drafts.select(torch.zeros(1, 4), width=9)[1].shape == (1, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_softmax_over_allowed_codes(dtype: torch.dtype) -> None:
    logits = torch.tensor([[[1.0, 100.0, 2.0], [50.0, 3.0, 60.0]]], dtype=dtype)
    log_probs = allowed_log_softmax(logits, children(), 3)
    total = math.log(math.e + math.e**2)
    assert log_probs.dtype == torch.float32
    assert log_probs[0, 0].tolist() == pytest.approx([1 - total, 2 - total], abs=1e-5)
    assert log_probs[0, 1].tolist() == [0.0, -INF]


def test_a_beam_whose_every_code_is_impossible_has_no_extension() -> None:
    logits = torch.tensor([[[-INF, 1.0, -INF], [-INF, 2.0, -INF]]])  # beam 0 may take codes 0 and 2 alone
    assert allowed_log_softmax(logits, children(), 3).tolist() == [[[-INF, -INF], [0.0, -INF]]]
    assert allowed_log_softmax(logits.masked_fill(logits == -INF, math.nan), children(), 3)[0, 0].isnan().all()
