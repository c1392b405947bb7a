"""The peers' searches, set up as their users would: Hugging Face's T5 `generate` and cornac's TIGER beam."""

import importlib
import logging
import warnings
from collections import defaultdict
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
    """A module of a peer.

    Raises:
        Skipped: If it, or what it needs, is not installed.
    """
    logging.getLogger(module.partition(".")[0]).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise Skipped(f"needs {package}: pip install -e '.[bench]'") from error


class HuggingFace:
    """T5 over semantic-ID tokens, one token per code, each beam held to a dictionary trie.

    The vocabulary is all codes of all levels; the trie's answers are prepared once, as lists.

    Args:
        codes: Semantic IDs (I, L).
        level_sizes: K of each level.
        dim: Width; the feed-forward is four times as wide, as ours is.
        heads: Attention heads of width dim / heads.
        layers: Blocks of encoder and of decoder.
        device: Where it runs.
        dtype: Of its weights.

    Raises:
        Skipped: If transformers is not installed.
    """

    def __init__(
        self,
        codes: NDArray[np.int32],
        level_sizes: tuple[int, ...],
        dim: int,
        heads: int,
        layers: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        transformers = peer("transformers")
        transformers.logging.set_verbosity_error()
        self.levels = len(level_sizes)
        self.device = device
        self.offsets = FIRST + np.concatenate([[0], np.cumsum(level_sizes)[:-1]])
        self.tokens = torch.from_numpy(codes + self.offsets).to(device)  # (I, L)
        torch.manual_seed(0)
        self.model = transformers.T5ForConditionalGeneration(
            transformers.T5Config(
                vocab_size=FIRST + sum(level_sizes),
                d_model=dim,
                d_kv=dim // heads,
                d_ff=4 * dim,
                num_heads=heads,
                num_layers=layers,
                num_decoder_layers=layers,
                pad_token_id=PAD,
                eos_token_id=END,
                decoder_start_token_id=PAD,
            )
        )
        self.model.eval().to(device, dtype)
        children = defaultdict(set)
        for path in self.tokens.tolist():
            for depth, token in enumerate(path):
                children[tuple(path[:depth])].add(token)
        self.allowed = {prefix: sorted(tokens) for prefix, tokens in children.items()}

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
            max_new_tokens=self.levels,
            do_sample=False,
            use_cache=use_cache,
            prefix_allowed_tokens_fn=self.next_tokens,
        )
        return answer[:, 1:].unflatten(0, (len(inputs), width))

    def inputs(self, history: Tensor, one_each: bool) -> Tensor:
        """Encoder inputs of histories (B, H): all codes of the items (B, H*L), or the first of each (B, H)."""
        tokens = self.tokens[history]
        return tokens[..., 0] if one_each else tokens.flatten(1)

    def codes(self, paths: Tensor) -> Tensor:
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


class Cornac:
    """cornac's TIGER network and its own constrained beam search, which takes one user at a time.

    Args:
        codes, level_sizes, dim, heads, layers, device: As for `HuggingFace`.
        dtype: Of its matrix products; the weights are float32.

    Raises:
        Skipped: If cornac is not installed.
    """

    def __init__(
        self,
        codes: NDArray[np.int32],
        level_sizes: tuple[int, ...],
        dim: int,
        heads: int,
        layers: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        tiger = peer("cornac.models.tiger.tiger")
        self.arithmetic = torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32)
        torch.manual_seed(0)
        self.model = tiger.TIGERSeq2Seq(
            level_sizes,
            d_model=dim,
            d_ff=4 * dim,
            num_heads=heads,
            d_kv=dim // heads,
            num_enc_layers=layers,
            num_dec_layers=layers,
        )
        self.model.eval().to(device)
        self.tokens = torch.from_numpy(codes).to(device) + self.model.offsets  # (I, L)
        children: list[defaultdict[tuple[int, ...], set[int]]] = [defaultdict(set) for _ in level_sizes]
        for path in codes.tolist():
            for depth, code in enumerate(path):
                children[depth][tuple(path[:depth])].add(code)
        self.allowed = [
            {prefix: np.fromiter(sorted(found), dtype=np.int64) for prefix, found in level.items()}
            for level in children
        ]

    def search(self, history: Tensor, width: int) -> list[list[tuple[int, ...]]]:
        """Paths of codes, best first, for each of the histories (B, H)."""
        tokens = self.tokens[history].flatten(1)
        mask = torch.ones(1, tokens.shape[1], device=tokens.device)
        with self.arithmetic:
            return [self.model.generate_beam(row[None], mask, width, self.allowed)[0] for row in tokens]
