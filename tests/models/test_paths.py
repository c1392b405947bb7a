"""Path vectors: what a prefix's vector is made of."""

import pytest
import torch

from promise.models.paths import PathTable, checked_content


def table(catalogue, kind: str = "full") -> PathTable:
    return PathTable(6, kind, prefixes=catalogue.prefixes, level_sizes=catalogue.sizes)


@torch.no_grad()
def test_a_path_vector_is_the_sum_of_its_codes_and_its_own(catalogue):
    for kind in ("full", "none"):
        paths = table(catalogue, kind)
        for depth in (1, 2, 3):
            for node, codes in enumerate(catalogue.prefixes[depth - 1].tolist()):
                vector = sum(paths.code_vectors[level].weight[code] for level, code in enumerate(codes))
                if kind == "full":
                    vector = vector + paths.own_vectors[depth - 1].weight[node]
                assert torch.allclose(paths(depth, torch.tensor(node)), vector, atol=1e-6)
                assert torch.allclose(paths.all(depth)[node], vector, atol=1e-6)


def test_wanted_content_must_be_there():
    assert checked_content(False, [torch.zeros(2, 3)]) is None
    with pytest.raises(ValueError, match=r"reward\.content=true needs item embeddings, got none"):
        checked_content(True, None)
