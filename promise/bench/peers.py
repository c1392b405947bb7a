"""The peers' searches, set up as their users would: Hugging Face's T5 `generate` and cornac's TIGER beam."""

import importlib
import logging
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from promise.bench.measure import Skipped, clocked

#: Token ids of the Hugging Face model: padding (also the decoder's first token) and end; codes come after them.
PAD, END, FIRST = 0, 1, 2
_BATCHES = (4, 16, 64)


def peer(module: str) -> Any:
    """A module of a peer; Skipped if it, or what it needs, is not installed."""
    logging.getLogger(module.partition(".")[0]).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise Skipped(f"needs {package}: pip install -e '.[bench]'") from error


def t5(codes: int, dim: int, heads: int, layers: tuple[int, int], dropout: float = 0.1) -> Any:
    """An untrained T5 of width D over so many codes; `layers` are blocks of encoder and of decoder.

    Its feed-forward is four times as wide as the model, as ours is; a head has the width D / heads.

    Raises:
        Skipped: If transformers is not installed.
    """
    transformers = peer("transformers")
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    shape = {"d_model": dim, "d_kv": dim // heads, "d_ff": 4 * dim, "num_heads": heads}
    blocks = {"num_layers": layers[0], "num_decoder_layers": layers[1]}
    tokens = {"pad_token_id": PAD, "eos_token_id": END, "decoder_start_token_id": PAD}
    config = transformers.T5Config(vocab_size=FIRST + codes, dropout_rate=dropout, **shape, **blocks, **tokens)
    return transformers.T5ForConditionalGeneration(config)


@dataclass(eq=False)
class Peer(ABC):
    """A peer's network over a catalogue, as large as ours.

    Args:
        codes: Semantic IDs (I, L).
        level_sizes: K of each level.
        dim: Width; the feed-forward is four times as wide, as ours is.
        heads: Attention heads of width dim / heads.
        layers: Blocks of encoder and of decoder.
        device: Where it runs.
        dtype: Of its arithmetic.

    Raises:
        Skipped: If the peer is not installed.
    """

    codes: NDArray[np.int32]
    level_sizes: tuple[int, ...]
    dim: int
    heads: int
    layers: int
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @abstractmethod
    def __post_init__(self) -> None:
        """Set the network up."""


def children_of(paths: list[list[int]]) -> dict[tuple[int, ...], list[int]]:
    """A trie as a dictionary: prefix -> what may follow it, ascending."""
    children: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for path in paths:
        for depth, token in enumerate(path):
            children[tuple(path[:depth])].add(token)
    return {prefix: sorted(tokens) for prefix, tokens in children.items()}


class HuggingFace(Peer):
    """T5 over semantic-ID tokens, one token per code, each beam held to a dictionary trie.

    The vocabulary is all codes of all levels; the trie's answers are prepared once, as lists.
    """

    def __post_init__(self) -> None:
        self.offsets = FIRST + np.concatenate([[0], np.cumsum(self.level_sizes)[:-1]])
        self.tokens = torch.from_numpy(self.codes + self.offsets).to(self.device)  # (I, L)
        model = t5(sum(self.level_sizes), self.dim, self.heads, (self.layers, self.layers))
        self.model = model.eval().to(self.device, self.dtype)
        self.allowed = children_of(self.tokens.tolist())

    def next_tokens(self, _: int, sentence: Tensor) -> list[int]:
        """The tokens that may follow a beam (1 + T,); padding after what is no item's prefix."""
        return self.allowed.get(tuple(sentence.tolist()[1:]), [PAD])

    @torch.inference_mode()
    def search(self, inputs: Tensor, width: int, use_cache: bool) -> Tensor:
        """Paths (B, W, L) of tokens, best first, for encoder inputs (B, S)."""
        answer = self.model.generate(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            num_beams=width,
            num_return_sequences=width,
            max_new_tokens=len(self.level_sizes),
            do_sample=False,
            use_cache=use_cache,
            prefix_allowed_tokens_fn=self.next_tokens,
        )
        return answer[:, 1:].unflatten(0, (len(inputs), width))

    def inputs(self, history: Tensor, one_each: bool) -> Tensor:
        """Encoder inputs of histories (B, H): all codes of the items (B, H*L), or the first of each (B, H)."""
        tokens = self.tokens[history]
        return tokens[..., 0] if one_each else tokens.flatten(1)

    def codes_of(self, paths: Tensor) -> Tensor:
        """Semantic IDs of paths of tokens (..., L)."""
        return paths - torch.from_numpy(self.offsets).to(paths)

    def best(self, inputs: Tensor, width: int) -> tuple[int, bool]:
        """Batch size and cache setting of the fewest seconds per user, one trial each after a warm-up."""
        self.search(inputs[:2], width, True)
        trials = {}
        for batch in sorted({min(size, len(inputs)) for size in _BATCHES}):
            for use_cache in (True, False):
                seconds = clocked(lambda b=batch, c=use_cache: self.search(inputs[:b], width, c))  # type: ignore[misc]
                trials[batch, use_cache] = seconds / batch
        return min(trials, key=lambda setting: trials[setting])


class Cornac(Peer):
    """cornac's TIGER network and its own constrained beam search, which takes one user at a time.

    Its weights are float32 in any arithmetic.
    """

    def __post_init__(self) -> None:
        tiger = peer("cornac.models.tiger.tiger")
        self.arithmetic = torch.autocast(self.device, dtype=self.dtype, enabled=self.dtype != torch.float32)
        torch.manual_seed(0)
        width = {"d_model": self.dim, "d_ff": 4 * self.dim, "num_heads": self.heads, "d_kv": self.dim // self.heads}
        blocks = {"num_enc_layers": self.layers, "num_dec_layers": self.layers}
        self.model = tiger.TIGERSeq2Seq(self.level_sizes, **width, **blocks).eval().to(self.device)
        self.tokens = torch.from_numpy(self.codes).to(self.device) + self.model.offsets  # (I, L)
        self.allowed: list[dict[tuple[int, ...], NDArray[np.int64]]] = [{} for _ in self.level_sizes]
        for prefix, codes in children_of(self.codes.tolist()).items():
            self.allowed[len(prefix)][prefix] = np.array(codes, dtype=np.int64)

    def search(self, history: Tensor, width: int) -> list[list[tuple[int, ...]]]:
        """Paths of codes, best first, for each of the histories (B, H)."""
        tokens = self.tokens[history].flatten(1)
        mask = torch.ones(1, tokens.shape[1], device=tokens.device)
        with self.arithmetic:
            return [self.model.generate_beam(row[None], mask, width, self.allowed)[0] for row in tokens]
