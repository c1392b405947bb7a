"""The generator: an encoder over history items and a decoder that proposes the next code of a semantic ID."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from promise.models.flops import GeneratorFlops
from promise.models.layers import DecoderBlock, Dropout, EncoderBlock, KeyValue, RMSNorm, initialise
from promise.models.packed_beams import PackedBeams
from promise.models.users import EncoderOutput, check_histories, newest_items, take_rows


class DecoderCache(NamedTuple):
    """The decoder's state that a search carries from level to level.

    Attributes:
        users: The user states; shared by a user's beams.
        memories: Cross-attention keys and values, one pair per decoder block, computed once.
        codes: For each level so far and each block, self-attention keys and values (N_t, 2 D) of the decoded rows.
        ancestors: For each level but the newest, the row (N,) there that each row of the newest level comes from.
        rows: (B, W) row of each beam at the newest level.
    """

    users: EncoderOutput
    memories: list[KeyValue]
    codes: list[list[Tensor]]
    ancestors: list[Tensor]
    rows: Tensor


class Generator(nn.Module):
    """p(s_b | s_<b, history) over semantic IDs (METHOD: encoder-decoder, one encoder token per item).

    Args:
        dim: Model width D.
        encoder_layers: Blocks of the encoder.
        decoder_layers: Blocks of the decoder.
        heads: Attention heads; divides `dim`.
        dropout: Probability in [0, 1).
        history: Most items H of a history.
        attention: `causal` (one pass trains every position) or `bidirectional` (the paper's).
        item_vectors: Adds a learned vector per item to the item's token.
        content: Adds a projection of the item's content vector to the item's token, where there are any.
        user_state: BOS carries the state of the last item; false = one BOS for all (the paper's).
        codes: Semantic IDs of the items (I, L).
        level_sizes: Codebook size K of each level.
        content_vectors: Content vectors of the items (I, E); None = none.
    """

    codes: Tensor
    content_vectors: Tensor | None

    def __init__(
        self,
        dim: int,
        encoder_layers: int,
        decoder_layers: int,
        heads: int,
        dropout: float,
        history: int,
        attention: str,
        item_vectors: bool,
        content: bool,
        user_state: bool = True,  # models written before there was a choice
        *,
        codes: Tensor,
        level_sizes: Sequence[int],
        content_vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.dim = dim
        content_vectors = content_vectors if content else None
        self.history = history
        self.causal = attention == "causal"  # Deviation: the paper's encoder sees both sides, one target a pass
        self.level_sizes = tuple(level_sizes)
        offsets = torch.tensor((0, *self.level_sizes[:-1])).cumsum(0)
        self.register_buffer("codes", codes.long() + offsets, persistent=False)
        self.code_vectors = nn.Embedding(sum(self.level_sizes), dim)
        self.item_vectors = nn.Embedding(len(codes), dim) if item_vectors else None
        self.register_buffer("content_vectors", content_vectors, persistent=False)
        self.content_projection = (
            None if content_vectors is None else nn.Linear(content_vectors.shape[1], dim, bias=False)
        )
        self.positions = nn.Embedding(history, dim)
        self.drop = Dropout(dropout)
        self.encoder = nn.ModuleList(EncoderBlock(dim, heads, dropout) for _ in range(encoder_layers))
        self.encoder_norm = RMSNorm(dim)
        self.begin_vector = nn.Parameter(torch.zeros(dim))
        self.begin_projection = nn.Linear(dim, dim, bias=False) if user_state else None
        self.path_vectors = nn.ModuleList(nn.Embedding(size, dim) for size in self.level_sizes[:-1])
        self.decoder_blocks = [DecoderBlock(dim, heads, dropout) for _ in range(decoder_layers)]
        self.decoder = nn.ModuleList(self.decoder_blocks)
        self.decoder_norm = RMSNorm(dim)
        self.codebooks = nn.ModuleList(nn.Linear(dim, size, bias=False) for size in self.level_sizes)
        self.apply(initialise)
        for codebook in self.codebooks:  # near-uniform first predictions
            nn.init.normal_(codebook.weight, std=0.02)  # type: ignore[arg-type]
        self.flops = GeneratorFlops(
            dim=dim,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            level_sizes=self.level_sizes,
            content_dim=self.content_projection.in_features if self.content_projection else 0,
            user_state=user_state,
        )

    @property
    def row_bytes(self) -> int:
        """Working memory of decoding one beam, in bytes: feed-forward, residual stream, logits, and the kept keys."""
        dim, levels = self.begin_vector.numel(), len(self.level_sizes)
        return 4 * (16 * dim + max(self.level_sizes) + 2 * dim * levels * len(self.decoder))

    def item_tokens(self, items: Tensor) -> Tensor:
        """Sum of an item's code vectors, its learned vector and its projected content: (...) -> (..., D).

        Deviation: the paper does not say what an item's token is made of.
        """
        tokens = self.code_vectors(self.codes[items]).sum(-2)  # (..., L, D) -> (..., D)
        if self.item_vectors is not None:
            tokens = tokens + self.item_vectors(items)
        if self.content_projection is not None and self.content_vectors is not None:
            tokens = tokens + self.content_projection(self.content_vectors[items])
        return tokens

    @torch.no_grad()
    def append_items(self, codes: Tensor, content: Tensor | None = None) -> None:
        """Let histories hold new items, in place; of a new item nothing is learned yet but what its codes say.

        Weights may be replaced by larger ones, so an optimiser has to be made anew.

        Args:
            codes: Semantic IDs of the new items (N, L), which become items I..I+N-1; level sizes stay.
            content: Their embeddings (N, E); needed with `content`.
        """
        if self.content_vectors is not None:
            assert content is not None
            self.content_vectors = torch.cat((self.content_vectors, content.to(self.content_vectors)))
        sizes = torch.tensor(self.level_sizes, device=codes.device)
        offsets = sizes.cumsum(0) - sizes
        self.codes = torch.cat((self.codes, (codes.long() + offsets).to(self.codes.device)))
        if self.item_vectors is not None:
            old = self.item_vectors.weight
            grown = torch.cat((old, old.new_zeros(len(codes), old.shape[1])))
            self.item_vectors = nn.Embedding.from_pretrained(grown, freeze=not old.requires_grad)

    def encode(self, history: Tensor, lengths: Tensor, users: Tensor | None = None) -> EncoderOutput:
        """Encode histories, once per user.

        Args:
            history: (B, H) item indices, right-padded; of a longer history the newest items count.
            lengths: (B,) real items of each, >= 1.
            users: (B,) in training whose histories they are; of use to wrappers that have counted these users.

        Raises:
            ValueError: Outside training and export, if a history is empty or names an item that it doesn't know.
        """
        if not torch.is_grad_enabled() and not torch.compiler.is_compiling():
            check_histories(history, lengths, len(self.codes))
        history, lengths = newest_items(history, lengths, self.history)
        batch, width = history.shape
        steps = torch.arange(width, device=history.device)
        real = steps < lengths[:, None]  # (B, H)
        mask = real[:, None, None, :]
        x = self.drop(self.item_tokens(history) + self.positions(steps))
        for block in self.encoder:
            # Right padding: under a causal mask no real item ever sees a padded one.
            x = block(x, None if self.causal else mask, self.causal)
        states = self.encoder_norm(x)
        last = states[torch.arange(batch, device=history.device), lengths - 1]
        return EncoderOutput(states, lengths, last, mask)

    def teacher_forced(self, users: EncoderOutput, positions: Tensor, paths: Tensor) -> list[Tensor]:
        """Logits of every code of known paths, each given the true codes before it.

        Args:
            users: User states of B histories.
            positions: (B, P), the last history item that each path's target may see.
            paths: (B, P, L) codes.

        Returns:
            One tensor (B, P, K_b) per level.
        """
        states = users.states
        levels = len(self.level_sizes)
        tokens = [self.begin(take_rows(states, positions))]
        tokens += [vectors(paths[..., b]) for b, vectors in enumerate(self.path_vectors)]
        x = self.drop(torch.stack(tokens, dim=2))  # (B, P, L, D)
        seen = torch.arange(states.shape[1], device=states.device) <= positions[..., None]  # (B, P, H)
        mask = seen.repeat_interleave(levels, dim=1).unsqueeze(1)  # (B, P, H) -> (B, 1, P*L, H)
        for block in self.decoder_blocks:
            x = block(x, block.cross.project(states), mask)
        x = self.decoder_norm(x)
        return [codebook(x[:, :, b]) for b, codebook in enumerate(self.codebooks)]

    def begin(self, last: Tensor) -> Tensor:
        """BOS (..., D). Deviation: it carries the state of the last item, which the paper's does not."""
        if self.begin_projection is None:
            return self.begin_vector.expand_as(last)
        return self.begin_vector + self.begin_projection(last)

    def start(self, users: EncoderOutput) -> DecoderCache:
        """Project the user states for every decoder block, once per user and search."""
        memories = [block.cross.project(users.states) for block in self.decoder_blocks]
        return DecoderCache(users, memories, [], [], users.lengths.new_empty(0))

    def next_code(
        self, cache: DecoderCache, parents: Tensor, codes: Tensor, needed: Tensor | None = None
    ) -> tuple[Tensor, DecoderCache]:
        """Logits of the next code of every beam.

        Args:
            cache: From `start`, or from the call for the level before.
            parents: (B, W) which beam of the level before each beam extends; ignored at the root.
            codes: (B, W) the code that each beam added last; ignored at the root.
            needed: (B, W), True at the beams whose logits, or those of whose extensions, matter; the parent of a
                needed beam must have been needed; None = all. Only they are decoded.

        Returns:
            Logits (B, W, K_b), 0 at beams that are not needed, and the cache for the next level.
        """
        users, memories, before, ancestors, row_of_parent = cache
        level = len(before)
        if level == 0:
            rows = PackedBeams.of(None, users.last.shape[0], 1)
            x = self.begin(users.last)  # (B, D)
        else:
            rows = PackedBeams.of(needed, *codes.shape)
            x = self.path_vectors[level - 1](rows.take(codes))  # (N, D)
            newest = rows.take(row_of_parent.gather(1, parents))
            ancestors = [*(row.index_select(0, newest) for row in ancestors), newest]
        own = []
        for index, block in enumerate(self.decoder_blocks if rows.most else ()):
            path = [pairs[index].index_select(0, row) for pairs, row in zip(before, ancestors, strict=True)]
            x, pair = block.step(x, path, memories[index], users.mask, rows)
            own.append(pair)
        logits = rows.by_beam(self.codebooks[level](self.decoder_norm(x)))
        return logits, DecoderCache(users, memories, [*before, own], ancestors, rows.numbers(x.device))
