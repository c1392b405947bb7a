"""What histories add to logits: ages, entries below a path, and what is refused."""

import pytest
import torch

from promise.models.history_terms import add_terms, ages_of, ages_seen_from, history_terms, narrowed
from promise.models.overlap import prefix_nodes

HISTORY = 7


def test_entries_below_a_path_and_what_they_add():
    below = narrowed(torch.tensor([[[True, True, False]]]), torch.tensor([[5]]), torch.tensor([[5, 6, 5]]))
    assert below.tolist() == [[[True, False, False]]]
    logits = add_terms(torch.zeros(1, 1, 4), torch.tensor([[2, 0, 2]]), torch.tensor([[[1.0, 10, 100]]]))
    assert logits.tolist() == [[[10, 0, 101, 0]]]


def test_ages():
    assert ages_of(torch.tensor([3, 1]), 3).tolist() == [[2, 1, 0], [0, -1, -2]]
    assert ages_seen_from(torch.tensor([[0, 2]]), 3).tolist() == [[[0, -1, -2], [2, 1, 0]]]


def test_what_is_missing_is_refused(catalogue):
    nodes, tables = prefix_nodes(catalogue.codes), {"neighbours": catalogue.neighbours}
    for overlap, near, given, there, message in (
        (True, {}, None, {}, r"reward.overlap=true needs the trie nodes of the items, got none"),
        (False, {"neighbours": 2}, None, tables, r"reward.neighbours=2 needs the trie nodes of the items, got none"),
        (True, {"neighbours": 2}, nodes, {}, r"reward.neighbours=2 needs so many neighbours of every item, got none"),
        (True, {"neighbours": 9}, nodes, tables, r"reward.neighbours=9 needs .* of every item, got 3 each"),
        (True, {"text_neighbours": 1}, nodes, tables, r"reward.text_neighbours=1 needs .* of every item, got none"),
        (True, {"neighbours": -1}, nodes, tables, r"reward.neighbours must be >= 0, got -1"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            history_terms("reward", overlap, near, HISTORY, given, there)
    assert history_terms("reward", False, {"neighbours": 0}, HISTORY, None, {}) is None


def test_trust_is_for_what_was_counted_from_histories(catalogue):
    near = {"neighbours": 2, "text_neighbours": 1}
    tables = {"neighbours": catalogue.neighbours, "text_neighbours": catalogue.lookalikes}
    terms = history_terms("reward", True, near, HISTORY, prefix_nodes(catalogue.codes), tables)
    terms.trust(2.5)
    assert [module.trust for module in terms.neighbours] == [2.5, 1.0]
