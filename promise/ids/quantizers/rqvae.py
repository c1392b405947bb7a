"""RQVAE: quantizes what an encoder makes of item embeddings, trained to decode the embeddings from the codes."""

import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from promise.ids.quantizers.checks import check_balance, check_count, checked_sizes, checked_vectors, require_room
from promise.ids.quantizers.paths import DETOUR, nearest_paths, refitted, spread
from promise.ids.quantizers.rqvae_network import CHUNK, Autoencoder

GRADIENTS = ("straight_through", "rotation")


class RQVAE:
    """Residual-quantised autoencoder (RQ-VAE): an encoder, residual codebooks of its output, and a decoder.

    Loss: |x - decoded|^2 over the variance of x, + commitment * sum over levels of |residual - codeword|^2 over that of
    the latents. Codebooks are running means of the residuals that chose each code, start as residual k-means of
    the latents, and give a code that hardly any item chooses to a residual of the batch. The codewords that it
    shows are the least-squares ones of the embeddings for the trained codes, so that they sum to an embedding.

    Args:
        levels: L, number of levels, >= 1.
        codes: K, codes per level, >= 1; one number, or one per level.
        latent_dim: width of what is quantised, >= 1.
        hidden: widths of the encoder's layers; the decoder mirrors them.
        steps: training steps, >= 1.
        batch_size: items of a step, >= 1.
        learning_rate: peak of AdamW's, which rises for 5 % of the steps and then falls to 0 (one cycle), > 0.
        commitment: weight of the latents' distance to their codewords, >= 0.
        decay: of the running means of the codebooks, in (0, 1).
        revive_below: a code chosen less often than this share of the average is given to another residual, in [0, 1).
        gradient: how the decoder's gradient passes the codebooks: "straight_through", or "rotation", which turns it
            as the codebooks turned the latent (arXiv 2410.06424).
        balance: as `ResidualKMeans`.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        levels: int,
        codes: int | Sequence[int],
        latent_dim: int,
        hidden: Sequence[int],
        steps: int,
        batch_size: int,
        learning_rate: float,
        commitment: float,
        decay: float,
        revive_below: float,
        gradient: str,
        balance: str,
    ) -> None:
        self.level_sizes = checked_sizes(levels, codes)
        for name, value in (("latent_dim", latent_dim), ("steps", steps), ("batch_size", batch_size)):
            check_count(f"ids.{name}", value)
        for width in hidden:
            check_count("ids.hidden", width)
        for name, number, allowed, holds in (
            ("learning_rate", learning_rate, "> 0", learning_rate > 0),
            ("commitment", commitment, ">= 0", commitment >= 0),
            ("decay", decay, "in (0, 1)", 0 < decay < 1),
            ("revive_below", revive_below, "in [0, 1)", 0 <= revive_below < 1),
        ):
            if not holds:
                raise ValueError(f"ids.{name} must be a number {allowed}, got {number}")
        if gradient not in GRADIENTS:
            raise ValueError(f"ids.gradient must be {' or '.join(GRADIENTS)}, got {gradient}")
        check_balance(balance)
        self.codebooks: list[NDArray[np.float32]] = []
        self._widths = [*hidden, latent_dim]
        self._steps, self._batch_size, self._learning_rate = steps, batch_size, learning_rate
        self._options = {"commitment": commitment, "decay": decay, "revive_below": revive_below, "gradient": gradient}
        self._balance = balance

    def fit(self, vectors: NDArray[np.float32], seed: int) -> None:
        """Trains the autoencoder, with a progress bar on stderr. The same seed and vectors give the same one.

        Args:
            vectors: (I, E) finite numbers, one row per item.
            seed: >= 0.

        Raises:
            ValueError: no (I, E) table, a row that holds NaN or infinity, or fewer items than codes.
        """
        table = checked_vectors(vectors)
        require_room(len(table), self.level_sizes)
        self._mean = table.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = np.float32(np.sqrt(np.square(table - self._mean, dtype=np.float64).sum(axis=1).mean())) or 1
        points = torch.from_numpy((table - self._mean) / self._scale)  # (I, E), mean squared length 1
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            self._network = Autoencoder(
                points, self._widths, self.level_sizes, self._steps, self._learning_rate, self._options, seed
            )
            # one epoch of all steps: the bar then shows what is left of the training
            items = RandomSampler(points, replacement=True, num_samples=self._steps * self._batch_size)
            drawn = BatchSampler(items, self._batch_size, drop_last=False)
            bar = [RichProgressBar(console_kwargs={"stderr": True})] if sys.stderr.isatty() else []
            Trainer(
                accelerator="auto",
                devices=1,
                max_epochs=1,
                logger=False,
                callbacks=bar,  # type: ignore[arg-type]
                enable_progress_bar=bool(bar),
                enable_checkpointing=False,
                enable_model_summary=False,
                plugins=[LightningEnvironment()],  # one process of its own, also where ranks of a training run
            ).fit(self._network, DataLoader(points, sampler=drawn, batch_size=None))  # type: ignore[arg-type]
        self._network = self._network.cpu().eval()
        books = refitted(points.numpy(), self._paths(table, "none"), self.level_sizes)
        self.codebooks = [book * self._scale for book in books]
        self.codebooks[0] += self._mean

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int32]:
        """Codes of what the trained encoder makes of items, those of `fit` or new ones: (I, E) -> (I, L)."""
        return self._paths(checked_vectors(vectors), self._balance)

    @torch.no_grad()
    def _paths(self, table: NDArray[np.float32], balance: str) -> NDArray[np.int32]:
        points = torch.from_numpy((table - self._mean) / self._scale)
        latents = torch.cat([self._network.encoder(chunk) for chunk in points.split(CHUNK)]).numpy()
        codebooks = [level.get_buffer("codewords").numpy() for level in self._network.codebooks]
        paths = nearest_paths(latents, codebooks, 1)[0][:, 0]
        return spread(latents, paths, codebooks, DETOUR) if balance == "last_level" else paths


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Lightning's advice off the screen."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
