"""TextEncoder: each text is encoded once, rows stand by their items, and a real tiny network agrees."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from promise.data.embeddings import text_encoder
from promise.data.embeddings.protocol import NothingToEmbed
from promise.data.embeddings.text_encoder import TextEncoder
from promise.data.histories import Histories

WORLD = Histories(np.array([0, 1, 2], np.int32), np.array([0, 3]), 3)


def items(texts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"id": range(len(texts)), "text": pl.Series(texts, dtype=pl.String)})


class Lengths:
    """A network that gives length and vowels, and notes what it was asked."""

    asked: list[str]

    def __init__(self, name: str) -> None:
        if "missing" in name:
            raise OSError(f"{name} is no model\nsecond line")

    def encode(self, texts: list[str], **options: Any) -> np.ndarray:
        assert options == {"batch_size": 2, "normalize_embeddings": True, "show_progress_bar": False}
        self.asked.extend(texts)
        return np.array([[len(text), sum(letter in "aeiou" for letter in text)] for text in texts], np.float32)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the network of a made-up library was asked, two texts at a time."""
    library: Any = ModuleType("sentence_transformers")
    library.__spec__, library.SentenceTransformer = ModuleSpec("sentence_transformers", None), Lengths
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    monkeypatch.setattr(text_encoder, "TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(Lengths, "asked", [], raising=False)
    return Lengths.asked


def test_each_text_is_encoded_once(asked: list[str], tmp_path: Path) -> None:
    encoder = TextEncoder("hub/name", "> ", 2, str(tmp_path))
    found = encoder.embed(items(["soap", None, "red lamp", " ", "soap ", "tea"]), WORLD, 0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[6, 2], [0, 0], [10, 2], [0, 0], [6, 2], [5, 2]])
    assert asked == ["> soap", "> red lamp", "> tea"]
    again = TextEncoder("hub/name", "> ", 2, str(tmp_path)).embed(items(["tea", "mug", "soap"]), WORLD, 1)
    np.testing.assert_array_equal(again, [[5, 2], [5, 1], [6, 2]])
    assert asked[3:] == ["> mug"]
    TextEncoder("hub/name", "", 2, str(tmp_path)).embed(items(["tea"]), WORLD, 0)
    assert asked[4:] == ["tea"]  # another prefix, another vector


def test_a_killed_run_keeps_what_it_had(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Lengths.encode

    def killed(self: Lengths, texts: list[str], **options: Any) -> np.ndarray:
        if "e" in texts:
            raise KeyboardInterrupt
        return whole(self, texts, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Lengths, "encode", killed)
        TextEncoder("m", "", 2, str(tmp_path)).embed(items(list("abcdef")), WORLD, 0)
    (folder,) = tmp_path.iterdir()
    (folder / ".7-half.parquet").write_bytes(b"PAR1")  # what it was writing
    found = TextEncoder("m", "", 2, str(tmp_path)).embed(items(list("abcdef")), WORLD, 0)
    assert asked == list("abcdef") and found[:, 1].tolist() == [1, 0, 0, 0, 1, 0]


def test_a_folder_is_known_by_its_contents(asked: list[str], tmp_path: Path) -> None:
    for name, text in (("one", "x"), ("same", "x"), ("other", "y")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(text)
    prints = [TextEncoder(str(tmp_path / name), "", 2, "").fingerprint() for name in ("one", "same", "other")]
    assert prints[0] == prints[1] != prints[2]


def test_bad_input_is_named(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NothingToEmbed, match="the items have no texts"):
        TextEncoder("m", "", 2, str(tmp_path)).embed(items([None, " "]), WORLD, 0)
    with pytest.raises(ValueError, match=r"^embeddings.model=missing cannot be loaded: missing is no model$"):
        TextEncoder("missing", "", 2, str(tmp_path)).embed(items(["tea"]), WORLD, 0)
    with pytest.raises(ValueError, match=r"embeddings.batch_size must be an integer >= 1, got 0"):
        TextEncoder("m", "", 0, str(tmp_path))
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"embeddings=text_encoder needs sentence-transformers: pip install -e '.\[text\]'"
    ):
        TextEncoder("m", "", 2, str(tmp_path))


@pytest.mark.filterwarnings("default")
def test_a_folder_of_transformers_is_mean_pooled(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "lamp", "tea"]))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    sizes = {"vocab_size": 8, "hidden_size": 16, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 32}
    network = BertModel(BertConfig(**sizes)).eval()
    for each in (tokenizer, network):
        each.save_pretrained(tmp_path / "model")
    found = TextEncoder(str(tmp_path / "model"), "", 2, str(tmp_path)).embed(items(["red lamp", "tea", None]), WORLD, 0)
    states = network(**tokenizer(["red lamp"], return_tensors="pt")).last_hidden_state[0].mean(0).detach().numpy()
    np.testing.assert_allclose(found[0], states / np.linalg.norm(states), atol=1e-5)
    assert found.shape == (3, 16) and not found[2].any()
