"""DotReward: the cosine of a query from the last user state and the path's vector, the cheapest judge."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise.models.flops import RewardFlops
from promise.models.full_softmax import Additions, full_softmax_loss, sampled_softmax_loss
from promise.models.layers import Dropout, initialise
from promise.models.paths import PathTable
from promise.models.reward.model import Drawn, RewardCache, RewardModel, Tensors
from promise.models.users import EncoderOutput, take_rows

#: Bytes of path vectors that a CPU scores at once: those that leave its cache take twice as long.
AT_ONCE = 1 << 19


class DotReward(RewardModel):
    """Temperature x cosine between a query from U at the last position and the path's vector, per depth.

    Deviation: the paper's judge attends to all user states; that one is `CrossAttentionReward`.

    Args:
        dim: Width of query and path vectors.
        prefix_table: `full`, `hashed:N`, `none` or `own`: see `PathTable`.
        temperature: Factor of the cosine at the start; learned per depth.
        dropout: Probability that a query feature is dropped in training.
        content: Adds a projection of the prefix's content vector to its vector, where there are any.
        user_dim, prefixes, level_sizes, prefix_content: As `RewardModel` describes them; no content is None.
    """

    default_negatives = 2048
    shares_negatives = True

    def __init__(
        self,
        dim: int,
        prefix_table: str,
        temperature: float,
        dropout: float,
        content: bool,
        *,
        user_dim: int,
        prefixes: Tensors,
        level_sizes: Sequence[int],
        prefix_content: Tensors | None = None,
    ) -> None:
        super().__init__(prefixes)
        self.user_dim, self.dim = user_dim, dim
        given = prefix_content if content else None
        self.paths = PathTable(dim, prefix_table, prefixes=prefixes, level_sizes=level_sizes, content=given, unit=True)
        self.projections = [nn.Linear(user_dim, dim) for _ in prefixes]
        self.queries = nn.ModuleList(self.projections)
        self.drop = Dropout(dropout)
        self.log_temperatures = nn.Parameter(torch.full((len(prefixes),), float(temperature)).log())
        self.apply(initialise)

    @property
    def flops(self) -> RewardFlops:
        """One query per depth and user, 2 D dim each; one inner product per path, 2 dim."""
        return RewardFlops(user=len(self.queries) * 2 * self.user_dim * self.dim, path=2 * self.dim)

    @property
    def path_bytes(self) -> int:  # type: ignore[override]
        """Working memory of scoring one path, in bytes: its vector, looked up and laid out."""
        return 8 * self.dim

    def query(self, last: Tensor) -> Tensor:
        """Unit vectors for every depth times its temperature: (..., D) -> (..., L, dim)."""
        weight, bias = torch.cat([p.weight for p in self.projections]), torch.cat([p.bias for p in self.projections])
        queries = F.linear(self.drop(last), weight, bias).unflatten(-1, (len(self.projections), -1))  # one product
        return F.normalize(queries, dim=-1) * self.log_temperatures.exp().unsqueeze(-1)

    def start(self, users: EncoderOutput) -> RewardCache:
        """Queries (B, L, dim) of every depth, once per user."""
        return RewardCache(self.query(users.last))

    def score(self, cache: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        query = cache.values[:, depth - 1 : depth]  # (B, 1, dim)
        if not nodes.is_cpu or torch.compiler.is_compiling():
            return self.products(query, depth, nodes)
        users = max(1, AT_ONCE // (4 * self.dim * nodes.shape[1]))
        parts = zip(query.split(users), nodes.split(users), strict=True)
        return torch.cat([self.products(some, depth, of_some) for some, of_some in parts])

    def products(self, query: Tensor, depth: int, nodes: Tensor) -> Tensor:
        """Products (B, C) of queries (B, 1, dim) with the vectors of nodes (B, C)."""
        vectors = self.paths.look_up(depth, nodes)  # (B, C, dim)
        return torch.bmm(query.to(vectors.dtype), vectors.transpose(1, 2)).squeeze(1)

    def score_all(self, cache: RewardCache, depth: int) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth: one matrix product for each part of the table."""
        query = cache.values[:, depth - 1]
        return torch.cat([query @ vectors.T for vectors in self.paths.all(depth)], 1)

    def query_from(self, users: EncoderOutput, positions: Tensor, depth: int) -> Tensor:
        """Queries (B, P, dim) of one depth for targets that see items up to positions (B, P)."""
        last = self.drop(take_rows(users.states, positions))  # (B, P, D)
        return F.normalize(self.queries[depth - 1](last), dim=-1) * self.log_temperatures[depth - 1].exp()

    def contrast(
        self, users: EncoderOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        query = self.query_from(users, positions, depth)
        positive, negative = self.paths(depth, positives), self.paths(depth, negatives)
        of_negatives = (negative @ query.unsqueeze(-1)).squeeze(-1) if negatives.ndim == 3 else query @ negative.T
        return (query * positive).sum(-1), of_negatives

    def sampled_softmax_loss(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, real: Tensor, drawn: Drawn
    ) -> Tensor:
        if drawn.nodes.ndim == 3:
            return super().sampled_softmax_loss(users, positions, depth, positives, real, drawn)
        query, chosen = self.query_from(users, positions, depth)[real], positives[real]  # (R, dim), (R,)
        own, others = self.paths(depth, chosen).float(), self.paths(depth, drawn.nodes).float()
        return sampled_softmax_loss(query.float(), own, others, chosen, drawn.nodes, drawn.log_expected)

    def full_softmax_loss(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, real: Tensor, extra: Additions | None = None
    ) -> Tensor:
        query = self.query_from(users, positions, depth)[real]  # (R, dim)
        vectors = self.paths(depth, torch.arange(self.paths.sizes[depth - 1], device=positives.device))
        return full_softmax_loss(query.float(), vectors.float(), positives[real], extra)

    def extend(
        self, prefixes: Tensors, moved: Tensors, content: Tensors | None = None, item_nodes: Tensor | None = None
    ) -> None:
        self.paths.extend(prefixes, moved, content)
        self.sizes = self.paths.sizes
