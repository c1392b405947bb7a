"""CrossAttentionReward: the paper's judge, the path as one token that attends to all user states."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from promise.models.flops import RewardFlops
from promise.models.layers import KeyValue, RewardBlock, RMSNorm, initialise
from promise.models.paths import PathTable
from promise.models.reward.model import RewardCache, RewardModel, Tensors
from promise.models.users import EncoderOutput

#: Paths that are judged at once on a CPU, where their inner layers fit into its cache.
PATHS_AT_ONCE = 4096


class CrossAttentionReward(RewardModel):
    """The paper's scorer: one path token attends to the user states, an MLP gives the reward.

    Deviation: works at an inner width below the generator's, so that scoring stays cheap.

    Args:
        dim: Inner width; null = a quarter of `user_dim`.
        heads: Attention heads; divides `dim`; null = one per 32 of the inner width, or the next fewer that divide it.
        blocks: Blocks F of cross-attention and feed-forward.
        prefix_table: `full`, `hashed:N`, `none` or `own`: see `PathTable`.
        dropout: Probability in [0, 1).
        content: Adds a projection of the prefix's content vector to its vector, where there are any.
        user_dim, prefixes, level_sizes, prefix_content: As `RewardModel` describes them; no content is None.

    Raises:
        ValueError: If `heads` doesn't divide `dim`.
    """

    def __init__(
        self,
        dim: int | None,
        heads: int | None,
        blocks: int,
        prefix_table: str,
        dropout: float,
        content: bool,
        *,
        user_dim: int,
        prefixes: Tensors,
        level_sizes: Sequence[int],
        prefix_content: Tensors | None = None,
    ) -> None:
        super().__init__(prefixes)
        dim = dim or max(1, user_dim // 4)
        heads = heads or max(h for h in range(1, max(1, dim // 32) + 1) if dim % h == 0)
        given = prefix_content if content else None
        self.paths = PathTable(dim, prefix_table, prefixes=prefixes, level_sizes=level_sizes, content=given)
        self.depth_vectors = None if prefix_table == "own" else nn.Embedding(len(level_sizes), dim)
        self.reward_blocks = [RewardBlock(dim, heads, dropout, user_dim) for _ in range(blocks)]
        self.blocks = nn.ModuleList(self.reward_blocks)
        self.head = nn.Sequential(RMSNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        self.apply(initialise)
        self.user_dim, self.dim = user_dim, dim

    @property
    def flops(self) -> RewardFlops:
        """A block: keys and values once per item, 4 D dim; per path query and output 4 dim², FFN 16 dim², attention
        4 H dim. At the end per path an MLP, 2 dim² + 2 dim.
        """
        d, blocks = self.dim, len(self.blocks)
        path = blocks * 20 * d * d + 2 * d * d + 2 * d
        return RewardFlops(item=blocks * 4 * self.user_dim * d, path=path, path_item=blocks * 4 * d)

    @property
    def path_bytes(self) -> int:  # type: ignore[override]
        """Working memory of scoring one path, in bytes: feed-forward, residual stream, attention to 256 items."""
        return 4 * (16 * self.dim + 2 * 256 * self.reward_blocks[0].attention.heads)

    def project(self, users: EncoderOutput) -> list[KeyValue]:
        """Keys and values of the user states, one pair per block."""
        return [block.attention.project(users.states) for block in self.reward_blocks]

    def start(self, users: EncoderOutput) -> RewardCache:
        """Keys and values of the user states and the mask of real items, once per user."""
        return RewardCache((self.project(users), users.mask))

    def score(self, cache: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        users, paths = nodes.shape
        size = max(1, PATHS_AT_ONCE // max(1, paths) if nodes.is_cpu else users)
        parts = [slice(first, first + size) for first in range(0, max(1, users), size)]
        rewards = []
        for part in parts:
            memories, mask = cache.select_users(part).values
            rewards.append(self.judge(memories, mask, depth, self.paths.look_up(depth, nodes[part])))
        return torch.cat(rewards)

    def score_all(self, cache: RewardCache, depth: int) -> Tensor:
        users = len(cache.values[0][0][0])
        parts = self.paths.every_node(depth, PATHS_AT_ONCE)
        return torch.cat([self.score(cache, depth, nodes.expand(users, -1)) for nodes in parts], 1)

    def judge(self, memories: Sequence[KeyValue], mask: Tensor | None, depth: int, vectors: Tensor) -> Tensor:
        """Path vectors (B, C, dim) -> rewards (B, C)."""
        x = vectors if self.depth_vectors is None else vectors + self.depth_vectors.weight[depth - 1]
        for block, memory in zip(self.reward_blocks, memories, strict=True):
            x = block(x, memory, mask)
        return self.head(x).squeeze(-1)

    def contrast(
        self, users: EncoderOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits for InfoNCE, with negatives (B, P, N) of each target's own: one pass over shared keys and values."""
        nodes = torch.cat((positives.unsqueeze(-1), negatives), -1)  # (B, P, 1 + N)
        seen = torch.arange(users.states.shape[1], device=nodes.device) <= positions[..., None]  # (B, P, H)
        mask = seen.repeat_interleave(nodes.shape[-1], dim=1).unsqueeze(1)  # (B, 1, P*(1+N), H)
        logits = self.judge(self.project(users), mask, depth, self.paths(depth, nodes.flatten(1)))
        logits = logits.unflatten(1, nodes.shape[1:])  # (B, P*(1+N)) -> (B, P, 1+N)
        return logits[..., 0], logits[..., 1:]

    def extend(
        self, prefixes: Tensors, moved: Tensors, content: Tensors | None = None, item_nodes: Tensor | None = None
    ) -> None:
        self.paths.extend(prefixes, moved, content)
        self.sizes = self.paths.sizes
