"""The shop of the simulation, from whose parts items are drawn by popularity; what users did there, and do next."""

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
        """Draws items by popularity among those whose `labels` (I,), ascending, are in [low, high) (...).

        Returns:
            The items (...), and whether there was one (...): else the item means nothing.
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


class Conditional:
    """What each user buys next, by purchases, favourites and current sub-category: no ranker can do better.

    It leaves out that after `_DRAWS` draws in vain a user gets any new item, which hardly ever happens.

    Args:
        source: the `Synthetic` whose parameters count.
        simulation: what happened.
    """

    def __init__(self, source: Any, simulation: Simulation) -> None:
        self.source, self.simulation = source, simulation
        shop, nodes = simulation.shop, source.departments * source.categories * source.subcategories
        sales = np.diff(shop.running)
        self.brand = shop.shelf % source.brands
        self.node_sales = np.bincount(shop.node, sales, nodes)
        shelves, shelf = np.unique(shop.shelf, return_inverse=True)
        self.shelves = shelves  # those with an item, ascending
        self.of_node, self.of_shelf = sales / self.node_sales[shop.node], sales / np.bincount(shelf, sales)[shelf]

    def probabilities(self, user: int, length: int) -> Array:
        """Of every item (I,), by its number in the data, to be what a user buys after `length` >= 1 purchases."""
        source, (shop, links, favourites, bought, current, number) = self.source, self.simulation
        had, place = bought[user, :length], self._places(favourites[user], int(current[user, length - 1]))
        recent = had[np.maximum(length - 1 - np.arange(source.memory), 0)]
        weight = zipf(source.memory, 1)
        brands = np.bincount(self.brand[recent], weight, source.brands)  # that are looked for
        missed = 1.0 - source.brand_loyalty * self._found(brands)
        found = missed[shop.node] * self.of_node + source.brand_loyalty * brands[self.brand] * self.of_shelf
        found *= (1.0 - source.follow_up) * place[shop.node]
        np.add.at(found, links[recent], (source.follow_up * weight / source.links)[:, None])
        found[had] = 0.0
        result = np.empty_like(found)
        result[number] = found / found.sum()
        return result

    def _places(self, favourites: Array, current: int) -> Array:
        """The probability of each sub-category (nodes,) to be bought from where a purchase is no follow-up."""
        source, sales = self.source, self.node_sales
        place = (1.0 - source.stay - source.drift - source.favourite) * sales / sales.sum()
        place[current] += source.stay
        first = current // source.subcategories * source.subcategories
        category = slice(first, first + source.subcategories)
        place[category] += source.drift * sales[category] / sales[category].sum()
        np.add.at(place, favourites, source.favourite / source.favourites)
        return place

    def _found(self, brands: Array) -> Array:
        """How likely the brand that is looked for is there, in each sub-category (nodes,)."""
        wanted = np.flatnonzero(brands)
        shelf = np.arange(len(self.node_sales))[:, None] * self.source.brands + wanted
        at = np.searchsorted(self.shelves, shelf).clip(max=len(self.shelves) - 1)
        return (self.shelves[at] == shelf) @ brands[wanted]
