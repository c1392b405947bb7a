"""A source from outside: users who walk around a ring of items."""

import numpy as np
import polars as pl

from promise.data.interactions import EVENT_COLUMNS, Interactions


class Ring:
    """Every user starts somewhere and takes the next item each time.

    Args:
        users: Number of users.
        items: Number of items.
    """

    def __init__(self, users: int, items: int) -> None:
        self.users, self.items = users, items

    def read(self) -> Interactions:
        """Six interactions of every user."""
        steps = np.arange(6)
        table = {
            "user": np.repeat(np.arange(self.users), len(steps)),
            "item": (np.arange(self.users)[:, None] * 7 + steps).ravel() % self.items,
            "time": np.tile(steps, self.users),
        }
        events = pl.DataFrame(table).cast(EVENT_COLUMNS)  # type: ignore[arg-type]
        items = {"id": range(100, 100 + self.items), "text": [f"thing{i // 4}" for i in range(self.items)]}
        users = pl.Series([f"u{i}" for i in range(self.users)])
        return Interactions(events, users, pl.DataFrame(items), dropped_users=0)

    def fingerprint(self) -> str:
        """Everything that `read` depends on."""
        return f"ring-{self.users}-{self.items}"
