"""The process reward model: how well does a partial path of any depth fit a user's history?"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise.models.flops import CrossAttentionRewardFlops, DotRewardFlops
from promise.models.layers import Dropout, RewardBlock, RMSNorm, initialise
from promise.models.neighbours import NeighbourTable
from promise.models.path_terms import PathTerms, path_terms
from promise.models.paths import PathTable, checked_content
from promise.models.reward_cache import RewardCache
from promise.models.users import EncoderOutput, take_rows

#: Paths that cross-attention judges at once on a CPU, where their inner layers fit into its cache.
PATHS_AT_ONCE = 4096


class PathJudge(nn.Module):
    """What every reward model has: vectors of paths, and terms of the history items below them where they are asked."""

    paths: PathTable
    terms: PathTerms | None

    def extend(
        self,
        prefixes: Sequence[Tensor],
        moved: Sequence[Tensor],
        content: Sequence[Tensor] | None = None,
        item_nodes: Tensor | None = None,
    ) -> None:
        """Judge the paths of a larger trie as well: see `PathTable.extend`; `item_nodes` as in the constructor."""
        if self.terms is not None:
            self.terms.move(item_nodes)
        self.paths.extend(prefixes, moved, content)


class DotReward(PathJudge):
    """Temperature x cosine between a query from U at the last position and the path's vector, per depth.

    Args:
        dim: Width of query and path vectors.
        prefix_table: `full`, `hashed:N` or `none`: see `PathTable`.
        temperature: Factor of the cosine at the start; learned per depth.
        dropout: Probability that a query feature is dropped in training.
        content: Adds a projection of the mean embedding of the items below a prefix to the prefix's vector.
        overlap: Adds learned terms to the rewards of paths with history items below them: see `HistoryOverlap`.
        neighbours: Co-visited items of each history item that add terms too: see `HistoryNeighbours`.
        text_neighbours: Items of the most similar texts, likewise.
        user_dim: Width D of the user states.
        prefixes: Valid prefixes of each depth 1..L, in the trie's node order.
        level_sizes: K of each level.
        prefix_content: Mean embeddings of the prefixes' items, (N_b, E) for each depth; needed when `content`.
        history: Most items H of a history.
        item_nodes: Node of every item's prefix at each depth 1..L (I, L); needed for terms.
        neighbour_tables: Neighbours of every item, by dial.

    Raises:
        ValueError: If `temperature` is not above 0.
    """

    #: Negatives per batch when the configuration names no number; they are shared by all targets.
    default_negatives = 2048
    shares_negatives = True

    def __init__(
        self,
        dim: int,
        prefix_table: str,
        temperature: float,
        dropout: float,
        content: bool,
        overlap: bool = False,
        neighbours: int = 0,
        text_neighbours: int = 0,
        *,
        user_dim: int,
        prefixes: Sequence[Tensor],
        level_sizes: Sequence[int],
        prefix_content: Sequence[Tensor] | None = None,
        history: int = 1,
        item_nodes: Tensor | None = None,
        neighbour_tables: Mapping[str, NeighbourTable] | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"reward.temperature must be > 0, got {temperature}")
        levels = len(level_sizes)
        self.paths = PathTable(
            dim,
            prefix_table,
            prefixes=prefixes,
            level_sizes=level_sizes,
            content=checked_content(content, prefix_content),
            unit=True,
        )
        self.queries = nn.ModuleList(nn.Linear(user_dim, dim) for _ in range(levels))
        self.drop = Dropout(dropout)
        self.log_temperatures = nn.Parameter(torch.full((levels,), float(temperature)).log())
        self.apply(initialise)
        near = {"neighbours": neighbours, "text_neighbours": text_neighbours}
        self.terms = path_terms(overlap, near, history, item_nodes, neighbour_tables or {})
        self.flops = DotRewardFlops(user_dim, dim, levels)

    @property
    def path_bytes(self) -> int:
        """Working memory of scoring one path, in bytes: its vector, looked up and laid out."""
        return 8 * self.flops.dim

    def query(self, last: Tensor) -> Tensor:
        """Unit vectors for every depth times its temperature: (..., D) -> (..., L, dim)."""
        projections = [module for module in self.queries if isinstance(module, nn.Linear)]
        weight, bias = torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections])
        queries = F.linear(self.drop(last), weight, bias).unflatten(-1, (len(projections), -1))  # one product for all
        return F.normalize(queries, dim=-1) * self.log_temperatures.exp().unsqueeze(-1)

    def start(self, users: EncoderOutput) -> RewardCache:
        """Queries of every depth, once per user."""
        return RewardCache(self.query(users.last), [], None, self.terms.start(users) if self.terms else None)

    def score(self, context: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in nodes (B, C) at depth 1..L."""
        assert context.queries is not None
        vectors = self.paths.look_up(depth, nodes)  # (B, C, dim)
        query = context.queries[:, depth - 1 : depth].to(vectors.dtype)  # (B, 1, dim)
        rewards = torch.bmm(query, vectors.transpose(1, 2)).squeeze(1)
        return context.votes.added(depth, nodes, rewards) if context.votes else rewards

    def score_all(self, context: RewardCache, depth: int) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth: one matrix product for each part of the table."""
        assert context.queries is not None
        query = context.queries[:, depth - 1]
        rewards = torch.cat([query @ vectors.T for vectors in self.paths.all(depth)], 1)
        return context.votes.added_to_all(depth, rewards) if context.votes else rewards

    def query_from(self, users: EncoderOutput, positions: Tensor, depth: int) -> Tensor:
        """Queries (B, P, dim) of one depth for targets that see items up to positions (B, P)."""
        last = self.drop(take_rows(users.states, positions))  # (B, P, D)
        return F.normalize(self.queries[depth - 1](last), dim=-1) * self.log_temperatures[depth - 1].exp()

    def contrast(
        self, users: EncoderOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits for InfoNCE.

        Args:
            users: User states.
            positions: (B, P) last history item each target may see.
            depth: 1..L.
            positives: (B, P) nodes of the true prefixes.
            negatives: (N,) nodes shared by all targets, or (B, P, N) of each target's own.

        Returns:
            (B, P) of the positives and (B, P, N) of the negatives.
        """
        query = self.query_from(users, positions, depth)
        positive = self.paths(depth, positives)
        negative = self.paths(depth, negatives)
        of_negatives = (negative @ query.unsqueeze(-1)).squeeze(-1) if negatives.ndim == 3 else query @ negative.T
        logits = (query * positive).sum(-1), of_negatives
        return self.terms.contrast(users, positions, depth, positives, negatives, *logits) if self.terms else logits


class CrossAttentionReward(PathJudge):
    """The paper's scorer: one path token attends to the user states, an MLP gives the reward.

    Deviation: works at an inner width below the generator's, so that scoring stays cheap.

    Args:
        dim: Inner width; null = a quarter of `user_dim`.
        heads: Attention heads; divides `dim`; null = one per 32 of the inner width, or the next fewer that divide it.
        blocks: Blocks F of cross-attention and feed-forward.
        prefix_table: `full`, `hashed:N` or `none`: see `PathTable`.
        dropout: Probability in [0, 1).
        content: Adds a projection of the mean embedding of the items below a prefix to the prefix's vector.
        overlap: Adds learned terms to the rewards of paths with history items below them: see `HistoryOverlap`.
        neighbours: Co-visited items of each history item that add terms too: see `HistoryNeighbours`.
        text_neighbours: Items of the most similar texts, likewise.
        user_dim: Width D of the user states.
        prefixes: Valid prefixes of each depth 1..L, in the trie's node order.
        level_sizes: K of each level.
        prefix_content: Mean embeddings of the prefixes' items, (N_b, E) for each depth; needed when `content`.
        history: Most items H of a history.
        item_nodes: Node of every item's prefix at each depth 1..L (I, L); needed for terms.
        neighbour_tables: Neighbours of every item, by dial.

    Raises:
        ValueError: If there is no block, or `heads` doesn't divide `dim`.
    """

    #: Negatives per target when the configuration names no number; every target draws its own.
    default_negatives = 32
    shares_negatives = False

    def __init__(
        self,
        dim: int | None,
        heads: int | None,
        blocks: int,
        prefix_table: str,
        dropout: float,
        content: bool,
        overlap: bool = False,
        neighbours: int = 0,
        text_neighbours: int = 0,
        *,
        user_dim: int,
        prefixes: Sequence[Tensor],
        level_sizes: Sequence[int],
        prefix_content: Sequence[Tensor] | None = None,
        history: int = 1,
        item_nodes: Tensor | None = None,
        neighbour_tables: Mapping[str, NeighbourTable] | None = None,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"reward.blocks must be >= 1, got {blocks}")
        dim = dim or max(1, user_dim // 4)
        heads = heads or max(h for h in range(1, max(1, dim // 32) + 1) if dim % h == 0)
        self.paths = PathTable(
            dim,
            prefix_table,
            prefixes=prefixes,
            level_sizes=level_sizes,
            content=checked_content(content, prefix_content),
        )
        self.depth_vectors = nn.Embedding(len(level_sizes), dim)
        self.blocks = nn.ModuleList(RewardBlock(dim, heads, dropout, user_dim) for _ in range(blocks))
        self.head = nn.Sequential(RMSNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        self.apply(initialise)
        near = {"neighbours": neighbours, "text_neighbours": text_neighbours}
        self.terms = path_terms(overlap, near, history, item_nodes, neighbour_tables or {})
        self.flops = CrossAttentionRewardFlops(user_dim, dim, blocks)

    @property
    def path_bytes(self) -> int:
        """Working memory of scoring one path, in bytes: feed-forward, residual stream, attention to 256 items."""
        block = self.reward_blocks[0]
        return 4 * (16 * self.flops.dim + 2 * 256 * block.attention.heads)

    @property
    def reward_blocks(self) -> list[RewardBlock]:
        """The blocks, in order."""
        return [block for block in self.blocks if isinstance(block, RewardBlock)]

    def start(self, users: EncoderOutput) -> RewardCache:
        """Keys and values of the user states, once per user."""
        memories = [block.attention.project(users.states) for block in self.reward_blocks]
        return RewardCache(None, memories, users.mask, self.terms.start(users) if self.terms else None)

    def score(self, context: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in nodes (B, C) at depth 1..L."""
        users, paths = nodes.shape
        size = max(1, PATHS_AT_ONCE // max(1, paths) if nodes.is_cpu else users)
        parts = [slice(first, first + size) for first in range(0, max(1, users), size)]
        rewards = torch.cat(
            [self.judge(context.select_users(p), depth, self.paths.look_up(depth, nodes[p])) for p in parts]
        )
        return context.votes.added(depth, nodes, rewards) if context.votes else rewards

    def score_all(self, context: RewardCache, depth: int) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth."""
        users = len(context.memories[0][0])
        parts = self.paths.every_node(depth, PATHS_AT_ONCE)
        return torch.cat([self.score(context, depth, nodes.expand(users, -1)) for nodes in parts], 1)

    def judge(self, context: RewardCache, depth: int, vectors: Tensor) -> Tensor:
        """Path vectors (B, C, dim) -> rewards (B, C)."""
        x = vectors + self.depth_vectors.weight[depth - 1]
        for block, memory in zip(self.reward_blocks, context.memories, strict=True):
            x = block(x, memory, context.mask)
        return self.head(x).squeeze(-1)

    def contrast(
        self, users: EncoderOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits for InfoNCE: as `DotReward.contrast`, with negatives (B, P, N) of each target's own."""
        nodes = torch.cat((positives.unsqueeze(-1), negatives), -1)  # (B, P, 1 + N)
        seen = torch.arange(users.states.shape[1], device=nodes.device) <= positions[..., None]  # (B, P, H)
        mask = seen.repeat_interleave(nodes.shape[-1], dim=1).unsqueeze(1)  # (B, 1, P*(1+N), H)
        context = self.start(users)._replace(mask=mask)
        logits = self.judge(context, depth, self.paths(depth, nodes.flatten(1)))
        logits = logits.unflatten(1, nodes.shape[1:])  # (B, P*(1+N)) -> (B, P, 1+N)
        if self.terms is None:
            return logits[..., 0], logits[..., 1:]
        return self.terms.contrast(users, positions, depth, positives, negatives, logits[..., 0], logits[..., 1:])


Reward = DotReward | CrossAttentionReward
