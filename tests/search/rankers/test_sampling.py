"""Sampling: the noise against its published numbers and plain integers, temperatures at their ends, the draws."""

import math

import pytest
import torch
from scipy import stats

from promise.ids.trie import Children
from promise.search.beams import Beams
from promise.search.rankers.sampling import PLACES, STEP, Draws, Noise, mixed, tempered


def noise(seed: int = 0, users: int = 1, limit: int = 20) -> Noise:
    """Noise of users whose histories are [0], [1], …"""
    return Noise(seed, torch.arange(users)[:, None], torch.ones(users, dtype=torch.int64), limit)


# The noise.


def test_mixed_is_splitmix64() -> None:
    """The first numbers of the generator that is seeded with 1234567, as its authors' code prints them."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    found = mixed(1234567 + torch.arange(1, 5) * STEP)
    assert [number % 2**64 for number in found.tolist()] == published


def test_uniform_numbers_are_uniform_over_users_levels_and_places() -> None:
    found = noise(users=50).uniform(0, torch.arange(200)[None])
    deeper = noise(users=50).uniform(1, torch.arange(200)[None])
    apart = noise(seed=1, users=50).uniform(0, torch.arange(200)[None])
    assert found.shape == (50, 200) and found.dtype == torch.float64
    assert found.min() > 0 and found.max() < 1
    for numbers in (found.flatten(), found[:, 0], found[0], (found - deeper).flatten() % 1, (found - apart)[0] % 1):
        assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1e-3
    for one, other in ((found[:, :-1], found[:, 1:]), (found[:-1], found[1:]), (found, deeper), (found, apart)):
        assert abs(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1]) < 0.03
    assert len(torch.cat((found, deeper, apart)).unique()) > 29_990


def test_gumbel_noise_has_the_gumbel_distribution() -> None:
    found = noise(users=100).gumbel(2, torch.arange(200).expand(100, -1))
    assert found.isfinite().all() and stats.kstest(found.flatten().numpy(), "gumbel_r").pvalue > 1e-3


def test_noise_depends_on_seed_and_history_alone() -> None:
    def key(history: list[int], seed: int = 0, limit: int = 3, padding: int = 0) -> int:
        padded = torch.tensor([history + [7] * padding, [1] * (len(history) + padding)])
        return int(Noise(seed, padded, torch.tensor([len(history), 1]), limit).keys[0])

    assert key([4, 5, 6]) == key([4, 5, 6], padding=2) == key([9, 4, 5, 6])  # the three newest items are read
    others = [key([4, 6, 5]), key([5, 6]), key([4, 5, 5]), key([4, 5, 6], seed=1), key([4, 5, 6], seed=-1), key([0])]
    others += [key([0, 0]), key([4, 5, 6], seed=2**32), key([9, 4, 5, 6], limit=4), key([4, 5, 6, 9])]
    assert len({key([4, 5, 6]), *others}) == 11
    assert key([1], seed=2**64) == key([1], seed=0) and key([1], seed=2**63) != key([1], seed=2**63 - 1)


def test_places_of_levels_do_not_meet() -> None:
    last = torch.tensor([[PLACES - 1]])
    assert noise().uniform(0, last + 1) == noise().uniform(1, last - last)  # what is beyond would
    assert noise().uniform(0, last) != noise().uniform(1, last - last)


# Temperature.


@pytest.mark.parametrize("temperature", [0.5, 1, 2.0, 7])
def test_tempered_is_the_softmax_of_divided_logits(temperature: float) -> None:
    logits = torch.tensor([[1.0, 2.0, -3.0], [0.0, 0.0, 50.0]])
    found = tempered(logits.log_softmax(-1), temperature)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, (logits.double() / temperature).log_softmax(-1), atol=1e-5, rtol=1e-5)


def test_any_temperature_keeps_what_is_possible() -> None:
    log_probs = torch.tensor([[-0.7, -0.7, -5.0, -math.inf], [-math.inf] * 4])
    for temperature in (5e-324, 1e-40, 1e-9, 1e300):
        found = tempered(log_probs, temperature)
        assert torch.equal(found == -torch.inf, log_probs == -torch.inf) and not found.isnan().any()
        assert found[0, :2].tolist() == pytest.approx([-math.log(2 if temperature < 1 else 3)] * 2)
    assert tempered(log_probs.new_tensor([[math.nan, -1.0]]), 1.0).isnan().any()


# Draws, on a level of two beams with three codes each.

CHILDREN = Children(torch.arange(6).view(1, 2, 3), torch.arange(3).expand(1, 2, 3), torch.ones(1, 2, 3).bool())


def level(users: int, *rows: list[float]) -> tuple[Beams, Children, torch.Tensor]:
    """Two beams of every user with log-probabilities -1 and -2, their children and the log of the given numbers."""
    two = torch.tensor([[0, 1]]).expand(users, -1)
    beams = Beams(two, two, torch.zeros_like(two), torch.tensor([[-1.0, -2.0]]).expand(users, -1))
    children = Children(*(field.expand(users, -1, -1) for field in CHILDREN))
    return beams, children, torch.tensor([rows]).log().expand(users, -1, -1)


def test_the_largest_sum_of_the_children_is_the_parents() -> None:
    draw = Draws(6, noise(users=30))
    draw.log_probs = torch.tensor([[-1.0, -2.0]]).expand(30, -1).double()
    draw.largest = torch.tensor([[3.5, -0.25]]).expand(30, -1).double()
    beams, children, log_probs = level(30, [0.2, 0.7, 0.1], [0.0, 1.0, 0.0])
    found = draw.extend(0, beams, children, log_probs, log_probs.double())
    for user in range(30):
        sums = dict(zip(found.kept()[user].tolist(), draw.largest[user].tolist(), strict=True))
        assert max(sums[node] for node in (0, 1, 2)) == pytest.approx(3.5) and sums[4] == pytest.approx(-0.25)
        assert set(sums) == {0, 1, 2, 4, -1} and sums[-1] == -math.inf
    assert (draw.largest.diff() <= 0)[:, :3].all()
    torch.testing.assert_close(found.log_probs.double(), draw.log_probs)


def test_sums_of_children_hold_at_any_distance() -> None:
    """A parent far above or below what its children drew by themselves: nothing overflows."""
    for parent in (-1e30, -700.0, 700.0, 1e30):
        draw = Draws(3, noise(users=5))
        draw.largest = torch.full((5, 2), parent, dtype=torch.float64)
        draw.log_probs = torch.zeros(5, 2, dtype=torch.float64)
        draw.extend(0, *level(5, [0.2, 0.7, 0.1], [1e-30, 1.0, 1e-30]), level(5, [0.2, 0.7, 0.1], [0.5] * 3)[2])
        assert draw.largest.isfinite().all() and draw.largest[:, 0].tolist() == pytest.approx([parent] * 5)
