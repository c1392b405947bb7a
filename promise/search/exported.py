"""A guided search as one graph of tensors, which needs torch alone."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from promise.search.filters.restriction import Restriction
from promise.search.guided import GuidedSearch
from promise.search.protocols import UserRows

#: Users of one call, at most.
MOST_USERS = 65_536


class SearchGraph(nn.Module):
    """A guided search whose shapes depend on nothing but its options and the size of the batch.

    Args:
        search: The search; its generator, reward model and trie are modules.
        k: Items to return, at most those that its last level keeps.
    """

    def __init__(self, search: GuidedSearch, k: int) -> None:
        super().__init__()
        self.search, self.k = search, k
        held = [search.generator, search.trie, *([search.reward] if search.reward else [])]
        self.held = nn.ModuleList(cast(Any, held))  # torch looks for weights in modules alone

    def forward(self, history: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The best items of histories.

        Args:
            history: (B, H) item numbers, oldest first, right-padded with any item's number.
            lengths: (B,) real items of each, >= 1.

        Returns:
            Items (B, k), best first, -1 where there is none, and their scores (B, k), -inf there.
        """
        users = UserRows(history, lengths)
        restriction = cast(Restriction, self.search.restrictions.of(users))
        last = self.search.steps(users, restriction)[-1]
        return restriction.items(last.kept, last.scores, self.k)


def exported(search: GuidedSearch, k: int, history: int) -> torch.export.ExportedProgram:
    """The graph of a search, for any number of users.

    Args:
        search: The search.
        k: Items to return.
        history: Items H of a row.

    Raises:
        ValueError: If a network, or adaptive candidates, do what depends on the data and so is no graph.
    """
    users = torch.export.Dim("users", min=1, max=MOST_USERS)
    example = torch.zeros(2, history, dtype=torch.int64), torch.full((2,), history)
    graph = SearchGraph(search, k).eval()
    with torch.no_grad():
        graph(*example)  # what networks compute once is there from here on
        try:
            return torch.export.export(graph, example, dynamic_shapes={"history": {0: users}, "lengths": {0: users}})
        except Exception as error:  # torch has many, and networks may be anybody's
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"this search can't be exported: {reason}") from error
