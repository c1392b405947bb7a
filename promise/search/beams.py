"""Beams: the partial paths that a search keeps for each user, how they are extended and cut."""

from typing import NamedTuple

import torch
from torch import Tensor

from promise.ids.trie import Children, Trie
from promise.search.scoring import shaped, stable_topk


class Beams(NamedTuple):
    """W partial paths for each of B users; the same tuple holds the C drafts before a cut.

    Attributes:
        nodes: (B, W) trie nodes in which the paths end.
        codes: (B, W) the code that each path added last.
        parents: (B, W) the beam of the level before that each path extends.
        log_probs: (B, W) cumulative log-probability; -inf marks a beam that is not there.
    """

    nodes: Tensor
    codes: Tensor
    parents: Tensor
    log_probs: Tensor

    @classmethod
    def root(cls, users: int, device: torch.device) -> "Beams":
        """One empty path a user, log-probability 0."""
        zeros = torch.zeros(users, 1, dtype=torch.int64, device=device)
        return cls(zeros, zeros, zeros, torch.zeros(users, 1, device=device))

    def extend(self, children: Children, log_probs: Tensor, keep: int) -> "Beams":
        """The `keep` likeliest extensions of all beams of a user.

        Deviation: taken literally, the paper's beams give W codes each, which are fewer than C at the first level.

        Args:
            children: Child nodes and codes of every beam (B, W, M).
            log_probs: (B, W, M) of each child given its beam; -inf where there is none.
            keep: Drafts per user; fewer are returned only when there are fewer extensions.

        Returns:
            Drafts (B, min(keep, W * M)).
        """
        total = (self.log_probs.unsqueeze(-1) + log_probs).flatten(1)  # (B, W, M) -> (B, W*M)
        top, index = total.topk(min(keep, total.shape[1]))
        return self.chosen(children, index, top)

    @classmethod
    def chosen(cls, children: Children, index: Tensor, log_probs: Tensor) -> "Beams":
        """The extensions at places (B, P) among a user's children (B, W * M), of log-probabilities (B, P)."""
        return cls(
            nodes=children.nodes.flatten(1).gather(1, index),
            codes=children.codes.flatten(1).gather(1, index),
            parents=index // children.nodes.shape[2],
            log_probs=log_probs,
        )

    def select(self, scores: Tensor, width: int, items: Tensor | None = None) -> tuple["Beams", Tensor]:
        """The `width` beams of the highest scores (B, C), best first, and those scores; -inf takes a beam away.

        Those of equal scores stand in the order of the items (B, C) in which they end; without them as the drafts do,
        the likelier first.
        """
        top, index = stable_topk(scores, width, items)
        beams = Beams(*(field.gather(1, index) for field in self))
        return beams._replace(log_probs=beams.log_probs.masked_fill(top == -torch.inf, -torch.inf)), top

    def active(self, trie: Trie, depth: int) -> Tensor | None:
        """(B, W), True at beams of a depth with a choice left: below the others there is a single item, p = 1.

        None on an accelerator: shapes that depend on the data would cost more there than the rows that they save, and
        an exported graph has none.
        """
        if not self.nodes.is_cpu or torch.compiler.is_compiling():
            return None
        return trie.branching(depth)[self.nodes] & (self.log_probs > -torch.inf)

    def existing(self) -> Tensor:
        """(B,) how many beams there are."""
        return (self.log_probs > -torch.inf).sum(1)

    def kept(self) -> Tensor:
        """Nodes (B, W) with -1 where there is no beam."""
        return self.nodes.masked_fill(self.log_probs == -torch.inf, -1)


class Step(NamedTuple):
    """One level of a search, for the users of one part of a batch.

    Attributes:
        depth: 1..L.
        nodes: (B, C) trie nodes of the candidates, -1 = none.
        log_probs: (B, C) their cumulative log-probabilities; -inf where there is none.
        rewards: (B, C) their rewards, of any value where there is none; None where the reward was not asked.
        kept: (B, W) trie nodes of the beams that went on, -1 = none.
        scores: (B, W) what those beams were kept for, best first.
        decoded: Paths that were decoded, for all users alike or of each.
        judged: (B,) paths that the reward scored for each user.
    """

    depth: int
    nodes: Tensor
    log_probs: Tensor
    rewards: Tensor | None
    kept: Tensor
    scores: Tensor
    decoded: int | list[int]
    judged: Tensor


def allowed_log_softmax(logits: Tensor, children: Children, codes: int) -> Tensor:
    """Log-probabilities over the codes that the trie allows.

    Deviation: the paper's search has no such mask, and a path of it may be no item.

    Args:
        logits: (B, W, K).
        children: Children (B, W, M) of every beam.
        codes: Codes K of the level.

    Returns:
        (B, W, M) float32; -inf at entries that are no children, and where a beam has none of a logit above -inf.

    Raises:
        ValueError: If the logits are of another shape.
    """
    logits = shaped("logits of the next code", logits, (*children.codes.shape[:2], codes))
    allowed = logits.gather(2, children.codes).float().masked_fill(~children.valid, -torch.inf)
    none = allowed.amax(-1, keepdim=True) == -torch.inf  # the softmax of nothing is NaN
    return allowed.log_softmax(-1).masked_fill(~children.valid | none, -torch.inf)
