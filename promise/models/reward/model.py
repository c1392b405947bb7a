"""RewardModel: the base class of everything that judges paths, with a default for all but the judging itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promise.models.flops import RewardFlops
from promise.models.full_softmax import Additions
from promise.models.users import EncoderOutput

#: A tensor for each depth 1..L.
Tensors = Sequence[Tensor]


class RewardCache(NamedTuple):
    """Tensors that a reward model computes once per user and reads at every level of a search.

    Attributes:
        values: Tensors with one row per user, in tuples and lists as deep as need be; None stays None.
    """

    values: Any

    def select_users(self, rows: Tensor | slice) -> "RewardCache":
        """The cache of some users of the batch: their rows (b,), in any order, or a slice of them."""
        return RewardCache(rows_of(self.values, rows))


class Drawn(NamedTuple):
    """Negatives of a batch at one depth; none of them counts for a target whose positive it is.

    Attributes:
        nodes: (N,) shared by all targets, all distinct, or (B, P, N) of each target's own.
        log_expected: Of the same shape: log of how often a node is drawn in the mean, over how often it was where
            copies are one node, to be taken from its logit; None = nothing.
        repeated: (B, P, N), True where a negative repeats another and doesn't count; None = nowhere.
    """

    nodes: Tensor
    log_expected: Tensor | None = None
    repeated: Tensor | None = None


def rows_of(values: Any, rows: Tensor | slice) -> Any:
    """The same rows of every tensor in nested tuples and lists."""
    if values is None or isinstance(values, Tensor):
        return None if values is None else values[rows]
    parts = [rows_of(value, rows) for value in values]
    return type(values)(*parts) if hasattr(values, "_fields") else type(values)(parts)


class RewardModel(nn.Module, ABC):
    """A judge of paths that can be searched with and trained; a subclass has to define `score`, and no more.

    The rest has defaults: simple ones, which a subclass overrides to be faster. A configured reward is constructed with
    those of these keyword arguments that it names: `user_dim` (width D of the user states), `prefixes` (the valid
    prefixes of each depth 1..L as codes (N_b, b), in the trie's node order), `level_sizes` (K of each level), `history`
    (the most items H that the generator reads), `prefix_content` (for each depth the mean content vector (N_b, E) of
    the items below each prefix), `codes` (I, L) and `content_vectors` (I, E) of the items.

        class Preference(RewardModel):
            def __init__(self, *, user_dim, prefixes):
                super().__init__(prefixes)
                self.vectors = nn.ModuleList(nn.Embedding(len(codes), user_dim) for codes in prefixes)

            def score(self, cache, depth, nodes):
                return (self.vectors[depth - 1](nodes) @ cache.values.last.unsqueeze(-1)).squeeze(-1)

    Args:
        prefixes: Valid prefixes of each depth 1..L.

    Attributes:
        sizes: N_b, how many there are at each depth.
        default_negatives: Negatives N where `training.negative_count` is null.
        shares_negatives: Whether `contrast` takes negatives (N,) shared by all targets of a batch.
        path_bytes: Working memory, at most, of scoring one path, in bytes.
    """

    #: Negatives N when the configuration names no number: of a batch where they are shared, else of each target.
    default_negatives = 32
    #: Whether all targets of a batch can be contrasted with the same negatives, and so with all prefixes of a depth.
    shares_negatives = False
    #: Working memory, at most, of scoring one path, in bytes.
    path_bytes = 2**14

    def __init__(self, prefixes: Tensors) -> None:
        super().__init__()
        self.sizes = tuple(len(codes) for codes in prefixes)

    @property
    def flops(self) -> RewardFlops:
        """Cost by closed formula; by default every weight outside embeddings is used once per path."""
        tables = {
            id(weight)
            for module in self.modules()
            if isinstance(module, nn.Embedding)
            for weight in module.parameters()
        }
        return RewardFlops(path=2 * sum(w.numel() for w in self.parameters() if id(w) not in tables))

    def start(self, users: EncoderOutput) -> RewardCache:
        """The cache that is computed once per user; by default the user states as they are."""
        return RewardCache(users)

    @abstractmethod
    def score(self, cache: RewardCache, depth: int, nodes: Tensor) -> Tensor:
        """Rewards (B, C) of the paths that end in nodes (B, C) at depth 1..L."""

    def score_all(self, cache: RewardCache, depth: int) -> Tensor:
        """Rewards (B, N_depth) of every prefix of a depth."""
        users, device = first_tensor(cache.values).shape[0], first_tensor(cache.values).device
        return self.score(cache, depth, torch.arange(self.sizes[depth - 1], device=device).expand(users, -1))

    def contrast(
        self, users: EncoderOutput, positions: Tensor, depth: int, positives: Tensor, negatives: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits for InfoNCE; by default every target is scored as a user of its own.

        Args:
            users: User states.
            positions: (B, P) last history item each target may see.
            depth: 1..L.
            positives: (B, P) nodes of the true prefixes.
            negatives: (N,) nodes shared by all targets, or (B, P, N) of each target's own.

        Returns:
            (B, P) of the positives and (B, P, N) of the negatives.

        Raises:
            ValueError: If `score` gives anything but one reward for each path.
        """
        own = negatives if negatives.ndim == 3 else negatives.expand(*positives.shape, -1)
        nodes = torch.cat((positives.unsqueeze(-1), own), -1)  # (B, P, 1 + N)
        logits = self.score(self.start(users.seen_from(positions)), depth, nodes.flatten(0, 1))
        if getattr(logits, "shape", None) != (shape := nodes.flatten(0, 1).shape):
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(f"{type(self).__name__}.score must give rewards of shape {tuple(shape)}, got {got}")
        logits = logits.unflatten(0, positives.shape)  # (B*P, 1+N) -> (B, P, 1+N)
        return logits[..., 0], logits[..., 1:]

    def sampled_softmax_loss(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, real: Tensor, drawn: Drawn
    ) -> Tensor:
        """The loss of a depth; by default InfoNCE against drawn prefixes (METHOD: -log(e^pos / (e^pos + Σ e^neg))).

        A training calls this unless `training.negatives` is `full_softmax`, or `full_softmax_last` at the last depth.

        Args:
            users: User states.
            positions: (B, P) last history item each target may see.
            depth: 1..L.
            positives: (B, P) nodes of the true prefixes.
            real: (B, P), True where there is a target.
            drawn: The negatives.

        Returns:
            A scalar in nats, mean over the real targets.
        """
        nodes, expected, absent = drawn.nodes, drawn.log_expected, drawn.nodes == positives.unsqueeze(-1)
        positive, negative = self.contrast(users, positions, depth, positives, nodes)
        positive, negative = positive[real].float(), negative[real].float()  # (R,), (R, N)
        if expected is not None:
            negative = negative - (expected[real] if expected.ndim == 3 else expected)
        if drawn.repeated is not None:
            absent = absent | drawn.repeated
        others = negative.masked_fill(absent[real], float("-inf")).logsumexp(-1)
        return (torch.logaddexp(positive, others) - positive).mean()

    def full_softmax_loss(
        self, users: Any, positions: Tensor, depth: int, positives: Tensor, real: Tensor, extra: Additions | None = None
    ) -> Tensor:
        """InfoNCE against every prefix of a depth, the positive among them; for rewards that share negatives.

        Args:
            users, positions, depth, positives, real: As for `sampled_softmax_loss`.
            extra: What is added to some of the logits.

        Returns:
            A scalar in nats, mean over the real targets.
        """
        every = torch.arange(self.sizes[depth - 1], device=positives.device)
        logits = self.contrast(users, positions, depth, positives, every)[1][real].float()  # (R, N_depth)
        if extra is not None:
            logits = logits.scatter_add(1, extra.items[extra.owners], extra.terms.float())
        return F.cross_entropy(logits, positives[real])

    def extend(
        self, prefixes: Tensors, moved: Tensors, content: Tensors | None = None, item_nodes: Tensor | None = None
    ) -> None:
        """Judge the paths of a larger trie as well, in place.

        Args:
            prefixes: For each depth 1..L the prefixes of the larger trie, in its node order, (N_b, b) codes.
            moved: For each depth 1..L the new node of every old one.
            content: For each depth the mean content vector (N_b, E) of the items below each prefix.
            item_nodes: Node of every item's prefix at each depth (I, L).

        Raises:
            NotImplementedError: Of a reward that cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} takes no new items")


def first_tensor(values: Any) -> Tensor:
    """The first tensor in nested tuples and lists, which has one row per user."""
    while not isinstance(values, Tensor):
        values = next(value for value in values if value is not None)
    return values
