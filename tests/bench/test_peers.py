"""The peers work: what they find is what their own scores of all items say is best."""

import importlib.util
import sys

import pytest
import torch

from promise.bench.measure import Skipped
from promise.bench.peers import END, FIRST, PAD, Cornac, HuggingFace, peer
from promise.bench.worlds import catalogue

CODES = catalogue(30, levels=3, codes=6)
SIZES = (6, 6, 6)
HISTORY = torch.randint(30, (3, 4), generator=torch.Generator().manual_seed(0))


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


@needs("transformers")
@pytest.mark.parametrize("one_each", [False, True])
@pytest.mark.parametrize("use_cache", [False, True])
def test_hugging_face_finds_the_likeliest_items(one_each: bool, use_cache: bool) -> None:
    ours = HuggingFace(CODES, SIZES, dim=16, heads=2, layers=1)
    inputs = ours.inputs(HISTORY, one_each)
    assert inputs.shape == (3, 4 if one_each else 12) and int(inputs.min()) >= FIRST
    found = ours.codes_of(ours.search(inputs, width=30, use_cache=use_cache))
    starts = torch.full((30, 1), PAD)
    for user in range(3):
        with torch.inference_mode():
            logits = ours.model(
                input_ids=inputs[user].expand(30, -1), decoder_input_ids=torch.cat([starts, ours.tokens[:, :-1]], 1)
            ).logits
        likely = logits.log_softmax(-1).gather(2, ours.tokens[..., None]).sum((1, 2))
        assert found[user].tolist() == CODES[likely.argsort(descending=True)].tolist()


@needs("transformers")
def test_hugging_face_is_held_to_the_catalogue() -> None:
    ours = HuggingFace(CODES, SIZES, dim=16, heads=2, layers=1)
    first = sorted({int(code) + FIRST for code in CODES[:, 0]})
    assert ours.next_tokens(0, torch.tensor([PAD])) == first
    assert ours.next_tokens(0, torch.tensor([PAD, END])) == [PAD]
    assert ours.best(ours.inputs(HISTORY, False), width=5)[0] == 3


@needs("cornac")
def test_cornac_finds_the_likeliest_items() -> None:
    ours = Cornac(CODES, SIZES, dim=16, heads=2, layers=1)
    found = ours.search(HISTORY, width=30)
    table = torch.from_numpy(CODES).long()
    for user, paths in enumerate(found):
        tokens = ours.tokens[HISTORY[user]].reshape(1, -1)
        scores = ours.model.score_all_items(tokens, torch.ones(tokens.shape), table, 30)
        order = torch.from_numpy(scores).argsort(descending=True)
        assert [list(path) for path in paths] == CODES[order].tolist()


@pytest.mark.parametrize("module", ["cornac.models.tiger.tiger", "transformers", "not_installed.at_all"])
def test_a_peer_that_is_missing_says_how_to_get_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Skipped, match=rf"^needs {module.split('.')[0]}: pip install -e '.\[bench\]'$"):
        peer(module)
