"""Leave-last-out: each user's last item is for testing, the last but one for validation, else training."""

import numpy as np

from promise.data.histories import Histories
from promise.data.interactions import Interactions


def leave_last_out(interactions: Interactions) -> Histories:
    """Lines up every user's items in time order.

    Raises:
        ValueError: a user has fewer than 3 interactions.
    """
    events = interactions.events
    counts = np.bincount(events["user"].to_numpy(), minlength=len(interactions.users))
    if counts.min() < 3:
        user = int(counts.argmin())
        raise ValueError(f"every user must have >= 3 items, {interactions.users[user]!r} has {counts[user]}")
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
    return Histories(events["item"].to_numpy(), offsets, item_count=interactions.items.height)
