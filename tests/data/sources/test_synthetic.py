"""The simulated shop: a valid, repeatable world whose purchases follow the stated process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from promise.data.interactions import Interactions
from promise.data.sources.synthetic import Synthetic
from promise.data.sources.synthetic_shop import Shop

CONF = Path(__file__).parents[3] / "conf" / "data" / "synthetic.yaml"


def shop(**changes: Any) -> Synthetic:
    return instantiate(OmegaConf.load(CONF), **changes)


def sequences(data: Interactions) -> list[list[int]]:
    lists: list[list[int]] = [[] for _ in range(len(data.users))]
    for user, item, _ in data.events.sort("user", "time").iter_rows():
        lists[user].append(item)
    return lists


@pytest.fixture(scope="module")
def world() -> Interactions:
    return shop().read()


def test_default_world_is_the_one_the_configuration_describes(world: Interactions) -> None:
    histories = sequences(world)
    lengths = np.array([len(history) for history in histories])
    assert len(histories) == 6000 and world.items.height == 3000 and world.dropped_users == 0
    assert lengths.min() == 5 and lengths.max() <= 50 and abs(lengths.mean() - 10) < 0.3
    assert world.items["id"].to_list() == list(range(1, 3001))
    assert world.users.n_unique() == 6000
    texts = world.items["text"]
    assert texts.null_count() < 3 and texts.n_unique() > 2900
    assert texts.str.contains("Categories: Garden").sum() > 50


def test_same_parameters_same_world_other_seed_another() -> None:
    first, again, other = (shop(users=50, items=200, seed=seed).read() for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_fingerprint_tells_every_parameter_apart() -> None:
    parameters = OmegaConf.to_container(OmegaConf.load(CONF))
    assert isinstance(parameters, dict)
    del parameters["_target_"]
    halved = {name: value * 0.9 if isinstance(value, float) else value + 1 for name, value in parameters.items()}
    prints = {shop(**{str(name): value}).fingerprint() for name, value in halved.items()}
    assert len(prints | {shop().fingerprint()}) == len(parameters) + 1
    assert shop().fingerprint() == shop().fingerprint()


def test_histories_hold_signal_that_popularity_lacks(world: Interactions) -> None:
    """What most often followed the last item is a far better guess than what sells most."""
    histories = sequences(world)
    follows = np.zeros((3000, 3000), dtype=np.int32)
    popularity = np.zeros(3000, dtype=np.int64)
    for history in histories:
        np.add.at(follows, (history[:-2], history[1:-1]), 1)
        popularity[history[:-1]] += 1
    last, target = np.array([history[-2:] for history in histories]).T
    by_visit = np.argpartition(-follows[last] - 1e-6 * popularity, 10, axis=1)[:, :10]
    by_popularity = np.argpartition(-popularity, 10)[:10]
    co_visit, popular = ((by_visit == target[:, None]).any(axis=1).mean(), np.isin(target, by_popularity).mean())
    assert 0.01 < popular < 0.04
    assert 0.05 < co_visit < 0.2


def test_with_follow_ups_alone_every_purchase_is_a_link_of_the_one_before() -> None:
    source = shop(users=300, items=400, follow_up=1, memory=1, links=8)
    rng = np.random.default_rng(0)
    catalogue = source._catalogue(rng)
    links = source._links(catalogue, rng)
    bought = source._purchases(catalogue, links, rng)[1]
    pairs = np.stack([bought[:, :-1], bought[:, 1:]], axis=-1)[bought[:, 1:] >= 0]
    assert (links[pairs[:, 0]] == pairs[:, 1:]).any(axis=1).mean() > 0.95


def test_who_always_stays_buys_from_one_sub_category() -> None:
    source = shop(users=200, departments=2, size_skew=0, follow_up=0, stay=1, drift=0, favourite=0)
    rng = np.random.default_rng(0)
    catalogue = source._catalogue(rng)
    bought = source._purchases(catalogue, source._links(catalogue, rng), rng)[1]
    nodes = np.where(bought >= 0, catalogue.node[bought], catalogue.node[bought[:, :1]])
    assert (nodes == nodes[:, :1]).all()


def test_links_keep_their_shares() -> None:
    source = shop(links=4, link_companion=0, link_category=1)
    rng = np.random.default_rng(0)
    catalogue = source._catalogue(rng)
    category = catalogue.node // source.subcategories
    assert (category[source._links(catalogue, rng)] == category[:, None]).all()
    source = shop(links=4, link_companion=1, link_category=0)
    companions = catalogue.node[source._links(catalogue, rng)]
    for node in np.unique(catalogue.node):
        assert len(np.unique(companions[catalogue.node == node])) == 1


def test_draw_follows_the_sales_within_a_range() -> None:
    node = np.array([0, 0, 2, 2, 2, 5])
    running = np.array([0.0, 1.0, 4.0, 4.5, 5.0, 6.0, 10.0])
    drawer = Shop(node, node * 3, running)
    rng = np.random.default_rng(0)
    item, found = drawer.draw(node, np.full((40, 1000), 2), np.full((40, 1000), 5), rng)
    assert found.all() and item.shape == (40, 1000)
    shares = np.bincount(item.ravel(), minlength=6) / item.size
    np.testing.assert_allclose(shares, [0, 0, 0.25, 0.25, 0.5, 0], atol=0.01)
    assert drawer.draw(node, np.array([3, 1, 0]), np.array([5, 2, 1]), rng)[1].tolist() == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"follow_up": 1, "memory": 2},
        {"follow_up": 0, "brand_loyalty": 1},
        {"follow_up": 0, "stay": 0, "drift": 1, "favourite": 0},
    ],
)
def test_the_conditional_is_what_draws_come_to(changes: dict[str, Any]) -> None:
    tree = {"departments": 2, "categories": 2, "subcategories": 2, "brands": 5}
    source = shop(**{"users": 4, "items": 40, "min_length": 6, "mean_length": 6, **tree, **changes})
    conditional, draws, rng = source.conditional(), 60_000, np.random.default_rng(5)
    world, data = conditional.simulation, sequences(source.read())
    for user, length in ((0, 1), (1, 3), (2, 5)):
        had = world.bought[user, :length]
        assert data[user][:length] == world.number[had].tolist()  # the simulation is that of the data
        state = (
            np.repeat(each[None], draws, 0) for each in (had, world.current[user, length - 1], world.favourites[user])
        )
        item, _ = source._purchase(world.shop, world.links, *state, rng)
        found = np.bincount(world.number[item[~np.isin(item, had)]], minlength=40)
        expected = conditional.probabilities(user, length)
        assert expected.sum() == pytest.approx(1) and not expected[world.number[had]].any()
        np.testing.assert_allclose(found / found.sum(), expected, atol=0.01)


def test_the_default_world_is_the_same_to_the_bit() -> None:
    """Figures of tests and results rest on it."""
    assert shop(users=300, items=200).read().fingerprint() == "96ecfeb1ad9f835b"


@pytest.mark.parametrize("seed", range(8))
def test_tiny_and_odd_shops_work(seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = {name: int(rng.integers(1, 4)) for name in ("departments", "categories", "subcategories", "brands")}
    items = int(rng.integers(3, 9))
    data = shop(users=20, items=items, min_length=3, mean_length=6.0, links=1, favourites=1, **small).read()
    for history in sequences(data):
        assert 3 <= len(history) <= items and len(set(history)) == len(history)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": 0}, "data.users must be an integer >= 1, got 0"),
        ({"users": "many"}, "data.users must be an integer >= 1, got many"),
        ({"links": 1.5}, "data.links must be an integer >= 1, got 1.5"),
        ({"seed": -1}, "data.seed must be an integer >= 0, got -1"),
        ({"memory": True}, "data.memory must be an integer >= 1, got True"),
        ({"size_skew": float("nan")}, "data.size_skew must be a number >= 0, got nan"),
        ({"home": 1.1}, r"data.home must be a number in \[0, 1\], got 1.1"),
        ({"min_length": 2}, "data.min_length must be an integer >= 3, got 2"),
        ({"stay": 0.9}, r"data.stay \+ drift \+ favourite must be <= 1, got 1.45"),
        ({"link_category": 0.6}, r"data.link_companion \+ link_category must be <= 1, got 1.1"),
        ({"mean_length": 4.0}, "min_length <= data.mean_length <= data.max_length must hold, got 5, 4.0, 50"),
        ({"items": 4}, "data.items must be >= data.min_length = 5, got 4"),
    ],
)
def test_bad_parameters_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InstantiationException, match=message):
        shop(**changes)
