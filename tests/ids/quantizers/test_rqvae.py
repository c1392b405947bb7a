"""RQVAE: planted clusters, codes alive, gradients, seeds, new items, wrong inputs."""

from typing import Any

import numpy as np
import pytest
import torch

from promise.ids.quantizers.rqvae import RQVAE
from promise.ids.quantizers.rqvae_network import Codebook, rotated, straight_through

SETTINGS: dict[str, Any] = {
    "levels": 2,
    "codes": 8,
    "latent_dim": 8,
    "hidden": [32],
    "steps": 150,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "commitment": 0.25,
    "decay": 0.9,
    "revive_below": 0.1,
    "gradient": "straight_through",
    "balance": "none",
}


def planted(seed: int) -> np.ndarray:
    """Eight coarse clusters of eight fine ones each, in ten dimensions."""
    rng = np.random.default_rng(seed)
    coarse, fine = rng.normal(size=(8, 10)), 0.3 * rng.normal(size=(8, 10))
    kinds = np.arange(512)
    return (3 + coarse[kinds % 8] + fine[kinds // 8 % 8] + 0.01 * rng.normal(size=(512, 10))).astype(np.float32)


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_planted_clusters_are_found_and_every_code_lives(gradient: str) -> None:
    vectors = planted(0)
    quantizer = RQVAE(**{**SETTINGS, "gradient": gradient})
    quantizer.fit(vectors[:448], seed=0)
    codes = quantizer.encode(vectors)
    assert codes.dtype == np.int32 and quantizer.level_sizes == (8, 8)
    assert [len(set(column)) for column in codes.T] == [8, 8]
    left = vectors - sum(book[column] for book, column in zip(quantizer.codebooks, codes.T, strict=True))
    spread = np.square(vectors - vectors.mean(0)).sum()
    assert np.square(left).sum() < 0.1 * spread
    assert np.square(left[448:]).sum() < 0.1 * spread / 8  # new items too
    assert np.array_equal(quantizer.encode(vectors[[7, 3]]), codes[[7, 3]])


def test_a_seed_gives_the_same_codes_and_leaves_the_global_one_alone() -> None:
    vectors, settings = planted(1), {**SETTINGS, "steps": 20}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    found = []
    for seed in (3, 3, 4):
        quantizer = RQVAE(**settings)
        quantizer.fit(vectors, seed)
        found.append(quantizer.encode(vectors))
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_balanced_items_share_fewer_paths() -> None:
    vectors = planted(2)[:60]
    shared = {}
    for balance in ("none", "last_level"):
        quantizer = RQVAE(**{**SETTINGS, "steps": 60, "balance": balance})
        quantizer.fit(vectors, seed=0)
        shared[balance] = len(vectors) - len(np.unique(quantizer.encode(vectors), axis=0))
    assert shared["last_level"] < shared["none"]


@pytest.mark.parametrize("steps", [1, 5, 19])
def test_constant_items_share_everything(steps: int) -> None:
    quantizer = RQVAE(**{**SETTINGS, "steps": steps})
    quantizer.fit(np.full((20, 4), 2.0, dtype=np.float32), seed=0)
    assert len(np.unique(quantizer.encode(np.full((3, 4), 2.0, dtype=np.float32)), axis=0)) == 1


def test_codewords_are_running_means_and_dead_codes_come_back() -> None:
    book = Codebook(torch.tensor([[0.0], [10.0]]), decay=0.5, revive_below=0.3)
    residual = torch.tensor([[1.0], [3.0]])
    assert book(residual).flatten().tolist() == [0.0, 0.0]
    # code 0: counts 1 -> (1 + 2) / 2, sums 0 -> (0 + 4) / 2; code 1: both halve
    assert book.counts.tolist() == [1.5, 0.5] and book.codewords.flatten().tolist() == pytest.approx([4 / 3, 10])
    book(residual)
    assert float(book.counts[1]) == 1.0 and float(book.codewords[1]) in (1.0, 3.0)
    before = book.codewords.clone()
    book.eval()(residual)
    assert torch.equal(book.codewords, before)


def test_gradients_pass_the_codebooks() -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(5, 3, generator=generator, requires_grad=True)
    quantised = torch.randn(5, 3, generator=generator)
    for pass_on in (straight_through, rotated):
        assert torch.allclose(pass_on(latents, quantised), quantised, atol=1e-5)
    along = torch.randn(5, 3, generator=generator)
    (plain,) = torch.autograd.grad((straight_through(latents, quantised) * along).sum(), latents)
    assert torch.allclose(plain, along)
    (turned,) = torch.autograd.grad((rotated(latents, quantised) * quantised).sum(), latents)
    stretch = quantised.norm(dim=1) ** 2 / latents.norm(dim=1) ** 2  # along the codeword becomes along the latent
    assert torch.allclose(turned, stretch[:, None] * latents, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": 0}, "ids.levels must be an integer >= 1, got 0"),
        ({"latent_dim": 0}, "ids.latent_dim must be an integer >= 1, got 0"),
        ({"hidden": [8, 0]}, "ids.hidden must be an integer >= 1, got 0"),
        ({"steps": 0}, "ids.steps must be an integer >= 1, got 0"),
        ({"batch_size": 0.5}, r"ids.batch_size must be an integer >= 1, got 0\.5"),
        ({"learning_rate": 0}, "ids.learning_rate must be a number > 0, got 0"),
        ({"commitment": -1}, "ids.commitment must be a number >= 0, got -1"),
        ({"decay": 1}, r"ids.decay must be a number in \(0, 1\), got 1"),
        ({"revive_below": 1}, r"ids.revive_below must be a number in \[0, 1\), got 1"),
        ({"gradient": "none"}, "ids.gradient must be straight_through or rotation, got none"),
        ({"balance": "all"}, "ids.balance must be none or last_level, got all"),
    ],
)
def test_refuses_wrong_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RQVAE(**{**SETTINGS, **changes})


def test_refuses_fewer_items_than_codes() -> None:
    message = "ids.codes must be at most the number of items, 5, got 8: 2 fits"
    with pytest.raises(ValueError, match=message):
        RQVAE(**SETTINGS).fit(np.zeros((5, 2), dtype=np.float32), seed=0)
