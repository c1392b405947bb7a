"""The simulated shop: a seeded catalogue with a category tree, and users who move through it.

Catalogue. The tree is departments > categories > sub-categories; of its parent's items the r-th largest
child has a share in proportion to r^-size_skew, and sub-categories without an item are not there. A
sub-category sells as much as it is large; in it the r-th most popular item sells in proportion to
r^-popularity_skew. All departments share the brands, each with an order of sizes of its own. Every
sub-category has a companion, in its department (home) or anywhere, and every item has fixed follow-up
items, drawn by popularity: from the companion of its sub-category (link_companion), from its own category
(link_category) or from anywhere (the rest).

A user has favourite sub-categories, each in the user's home department (home) or anywhere, and starts at
the first. The next purchase is
  1. with probability follow_up, a follow-up item of a recent purchase (one of the last `memory`, the k-th
     last in proportion to 1 / k); the user's current sub-category stays;
  2. else an item, by popularity, of the current sub-category (stay), its category (drift), a favourite
     sub-category (favourite) or anywhere (the rest), whose sub-category becomes the current one. With
     probability brand_loyalty one of the recent purchase's brand is taken instead, if that sub-category has
     any.
What the user already has is drawn again, both steps, so nobody has an item twice.

The data state no favourite, link or step taken: they are numbered items, texts with words missing, and the
order of purchases.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields

import numpy as np
import polars as pl

from promise.data.interactions import Interactions
from promise.data.sources.synthetic_shop import Array, Conditional, Shop, Simulation, zipf
from promise.data.sources.synthetic_texts import item_texts

_DRAWS = 30  # of one purchase; a user who then still has drawn nothing new gets any item that is new

_SHARES = "text_missing link_category link_companion home stay drift favourite follow_up brand_loyalty"
_LIMITS: dict[str, tuple[int, float]] = {  # of the parameters that are not merely >= 1
    **dict.fromkeys(_SHARES.split(), (0, 1)),
    **dict.fromkeys(("size_skew", "popularity_skew", "brand_skew", "seed"), (0, math.inf)),
    **dict.fromkeys(("min_length", "mean_length", "max_length"), (3, math.inf)),
}


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The simulated shop as a source of interactions; the module's docstring is the process.

    Args:
        users: users, >= 1.
        items: items of the catalogue, >= min_length.
        departments, categories, subcategories: of the shop, per department, per category; each >= 1.
        size_skew: Zipf exponent of the sizes of siblings in the tree, >= 0.
        popularity_skew: Zipf exponent of the sales in a sub-category, >= 0.
        brands: brands, >= 1.
        brand_skew: Zipf exponent of the brands' numbers of items in a department, >= 0.
        text_missing: probability that a word is missing from an item's text.
        links: follow-up items per item, >= 1.
        link_companion: share of the links that lead to the companion sub-category.
        link_category: share that stay in the category; the two together <= 1.
        min_length, mean_length, max_length: purchases of a user, 3 <= min <= mean <= max; geometric from min
            on, cut at max and at the number of items (the mean is that before the cut).
        favourites: favourite sub-categories of a user, >= 1.
        home: probability that a favourite or a companion is in the home department.
        stay, drift, favourite: probabilities of the parts of the shop to buy from; together <= 1.
        follow_up: probability that a purchase is a follow-up item.
        brand_loyalty: probability that the recent purchase's brand is looked for.
        memory: recent purchases that count, >= 1.
        seed: of everything, >= 0.

    Raises:
        ValueError: a parameter is out of range.
    """

    users: int
    items: int
    departments: int
    categories: int
    subcategories: int
    size_skew: float
    popularity_skew: float
    brands: int
    brand_skew: float
    text_missing: float
    links: int
    link_companion: float
    link_category: float
    min_length: int
    mean_length: float
    max_length: int
    favourites: int
    home: float
    stay: float
    drift: float
    favourite: float
    follow_up: float
    brand_loyalty: float
    memory: int
    seed: int

    def __post_init__(self) -> None:
        for field in fields(self):
            low, high = _LIMITS.get(field.name, (1, math.inf))
            value, whole = getattr(self, field.name), field.type is int
            number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
            if not (number and low <= value <= high):
                expected = f">= {low}" if high == math.inf else f"in [{low}, {high}]"
                kind = "an integer" if whole else "a number"
                raise ValueError(f"data.{field.name} must be {kind} {expected}, got {value}")
        for names in ("link_companion + link_category", "stay + drift + favourite"):
            total = sum(getattr(self, name) for name in names.split(" + "))
            if total > 1 + 1e-9:
                raise ValueError(f"data.{names} must be <= 1, got {total:g}")
        if not self.min_length <= self.mean_length <= self.max_length:
            raise ValueError(
                "data.min_length <= data.mean_length <= data.max_length must hold, "
                f"got {self.min_length}, {self.mean_length}, {self.max_length}"
            )
        if self.items < self.min_length:
            raise ValueError(f"data.items must be >= data.min_length = {self.min_length}, got {self.items}")

    def read(self) -> Interactions:
        """Simulates the shop; the same parameters give the same interactions."""
        simulation, texts = self._simulate()
        user, time = np.nonzero(simulation.bought >= 0)
        events = {
            "user": user.astype(np.uint32),
            "item": simulation.number[simulation.bought[user, time]].astype(np.int32),
            "time": time,
        }
        texts = texts[np.argsort(simulation.number)]
        titles = texts.str.extract(r"^(.*?)(?:\. )?(?:Categories: .*)?$").replace("", None)
        items = {"id": np.arange(1, self.items + 1), "text": texts, "title": titles}
        return Interactions(
            events=pl.DataFrame(events, schema_overrides={"time": pl.Int64}),
            users=pl.Series("user", [f"user{index}" for index in range(1, self.users + 1)]),
            items=pl.DataFrame(items, schema_overrides={"id": pl.Int64}),
            dropped_users=0,
        )

    def conditional(self) -> Conditional:
        """The distribution of every user's next purchase, by all that the simulation knows; simulates anew."""
        return Conditional(self, self._simulate()[0])

    def fingerprint(self) -> str:
        """A hash of the parameters and of the process's version."""
        return hashlib.sha256(json.dumps(["synthetic-2", asdict(self)]).encode()).hexdigest()[:16]

    def _simulate(self) -> tuple[Simulation, pl.Series]:
        """Everything that happens, and the texts of the shop's items."""
        rng = np.random.default_rng(self.seed)
        shop = self._catalogue(rng)
        shape = (self.departments, self.categories, self.subcategories)
        paths = np.stack(np.unravel_index(shop.node, shape), axis=1)  # (I, 3)
        texts = item_texts(paths, shop.shelf % self.brands, self.text_missing, rng)
        links = self._links(shop, rng)
        favourites, bought, current = self._purchases(shop, links, rng)
        number = rng.permutation(self.items)  # so that an item's number tells nothing
        return Simulation(shop, links, favourites, bought, current, number), texts

    @property
    def _department_size(self) -> int:
        return self.categories * self.subcategories

    @property
    def _nodes(self) -> int:
        return self.departments * self._department_size

    def _catalogue(self, rng: np.random.Generator) -> Shop:
        """Places the items in the tree, gives them brands and sales."""
        size: Array = np.ones(1)
        for children in (self.departments, self.categories, self.subcategories):
            shares = np.tile(zipf(children, self.size_skew), (len(size), 1))
            size = (size[:, None] * rng.permuted(shares, axis=1)).ravel()
        node = np.sort(rng.choice(self._nodes, size=self.items, p=size / size.sum()))
        orders = rng.permuted(np.tile(np.arange(self.brands), (self.departments, 1)), axis=1)
        rank = rng.choice(self.brands, size=self.items, p=zipf(self.brands, self.brand_skew))
        shelf = np.sort(node * self.brands + orders[node // self._department_size, rank])

        sales = np.empty(self.items)
        _, start, count = np.unique(node, return_index=True, return_counts=True)
        rank = np.arange(self.items) - np.repeat(start, count)
        sales[np.lexsort((rng.random(self.items), node))] = (rank + 1.0) ** -self.popularity_skew
        sales *= np.repeat(count / np.add.reduceat(sales, start), count)
        return Shop(node, shelf, np.append(0.0, np.cumsum(sales)))

    def _links(self, shop: Shop, rng: np.random.Generator) -> Array:
        """Draws the follow-up items of every item, (I, links)."""
        every = np.arange(self._nodes)
        size = np.where(rng.random(self._nodes) < self.home, self._department_size, self._nodes)
        low = every // size * size
        item, found = shop.draw(shop.node, low, low + size, rng)
        companion = np.where(found, shop.node[item], every)
        node = np.repeat(shop.node[:, None], self.links, axis=1)
        bounds = np.cumsum([self.link_companion, self.link_category])
        kind = np.searchsorted(bounds, rng.random(node.shape), side="right")
        size = np.array([1, self.subcategories, self._nodes])[kind]
        low = np.where(kind == 0, companion[node], node) // size * size
        return shop.draw(shop.node, low, low + size, rng)[0]

    def _purchases(self, shop: Shop, links: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Lets the users buy: favourites, items bought and current sub-categories, as `Simulation` has them."""
        extra = rng.geometric(1 / (self.mean_length - self.min_length + 1), size=self.users) - 1
        lengths = np.minimum(self.min_length + extra, min(self.max_length, self.items))
        nodes = np.full((self.users, self.favourites), self._nodes)
        home = shop.node[shop.draw(shop.node, np.zeros_like(nodes[:, :1]), nodes[:, :1], rng)[0]]
        size = np.where(rng.random(nodes.shape) < self.home, self._department_size, nodes)
        low = home // size * size
        favourites = shop.node[shop.draw(shop.node, low, low + size, rng)[0]]

        bought = np.full((self.users, lengths.max()), -1, np.int32)
        places = np.zeros_like(bought)
        current = favourites[:, 0].copy()
        for step in range(bought.shape[1]):
            left = np.flatnonzero(lengths > step)
            for _ in range(_DRAWS):
                had = bought[left, :step]
                item, place = self._purchase(shop, links, had, current[left], favourites[left], rng)
                new = (had != item[:, None]).all(axis=1)
                bought[left[new], step], current[left[new]] = item[new], place[new]
                left = left[~new]
            # Of step + 1 different items at least one is new.
            others = (rng.integers(self.items, size=(len(left), 1)) + np.arange(step + 1)) % self.items
            new = (others[:, :, None] != bought[left, None, :step]).all(axis=2)
            bought[left, step] = others[np.arange(len(left)), new.argmax(axis=1)]
            places[:, step] = current
        return favourites, bought, places

    def _purchase(
        self, shop: Shop, links: Array, had: Array, current: Array, favourites: Array, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Draws the next purchase of n users who had (n, step) items: its item (n,), and what is current then (n,)."""
        (users, step), row = had.shape, np.arange(len(had))
        kind = np.searchsorted(np.cumsum([self.stay, self.drift, self.favourite]), rng.random(users), side="right")
        size = np.array([1, self.subcategories, 1, self._nodes])[kind]
        liked = favourites[row, rng.integers(self.favourites, size=users)]
        low = np.where(kind == 2, liked, current) // size * size
        item, _ = shop.draw(shop.node, low, low + size, rng)
        place = shop.node[item]
        if step == 0:
            return item, place
        back = np.minimum(rng.choice(self.memory, size=users, p=zipf(self.memory, 1)), step - 1)
        recent = had[row, step - 1 - back]
        wanted = place * self.brands + shop.shelf[recent] % self.brands
        same_brand, found = shop.draw(shop.shelf, wanted, wanted + 1, rng)
        item = np.where(found & (rng.random(users) < self.brand_loyalty), same_brand, item)
        follows = rng.random(users) < self.follow_up
        item = np.where(follows, links[recent, rng.integers(self.links, size=users)], item)
        return item, np.where(follows, current, place)
