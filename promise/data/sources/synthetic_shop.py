"""Shop: the catalogue of the simulation, from whose parts items are drawn by popularity; and what users did there."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Shop:
    """The catalogue during the simulation, where items are numbered by (sub-category, brand).

    Attributes:
        node: (I,) sub-category = (department * categories + category) * subcategories + child, ascending.
        shelf: (I,) node * brands + brand, ascending.
        running: (I + 1,) running sum of the items' sales, from 0.
    """

    node: Array
    shelf: Array
    running: Array

    def draw(self, labels: Array, low: Array, high: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draws one item by popularity among those whose `labels` (I,), ascending, are in [low, high).

        Args:
            labels: `node` or `shelf`.
            low: any shape.
            high: the same shape.
            rng: source of randomness.

        Returns:
            The items, and whether there was one (else the item means nothing), in that shape.
        """
        start, stop = np.searchsorted(labels, low), np.searchsorted(labels, high)
        sales = self.running[start] + rng.random(start.shape) * (self.running[stop] - self.running[start])
        return np.clip(np.searchsorted(self.running, sales, side="right") - 1, start, stop - 1), start < stop


def zipf(count: int, skew: float) -> Array:
    """Shares (count,) in proportion to rank^-skew."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -skew
    return weights / weights.sum()


class Simulation(NamedTuple):
    """All that happened, most of which the data do not state. Items are those of the shop.

    Attributes:
        shop: the catalogue.
        links: (I, links) follow-up items.
        favourites: (users, favourites) sub-categories.
        bought: (users, longest) items, -1 after a user's last.
        current: (users, longest) sub-category that is current after each purchase.
        number: (I,) number of each item in the data.
    """

    shop: Shop
    links: Array
    favourites: Array
    bought: Array
    current: Array
    number: Array
