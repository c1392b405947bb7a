"""The network of RQVAE: encoder, residual codebooks that are running means, decoder, and how they are trained."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from promise.ids.quantizers.residual_kmeans import ResidualKMeans

WARM_UP = 0.1  # share of the steps without quantising: k-means starts from latents that mean something
START_ITERATIONS = 10  # of the k-means that starts the codebooks
CHUNK = 2**14  # items encoded at once


class Codebook(nn.Module):
    """One level's codewords: running means of the residuals (n, D) that chose them.

    Args:
        codewords: (K, D) to start from.
        decay: share of a running mean that stays at every step.
        revive_below: share of the average number of choices below which a code is given to another residual.
    """

    codewords: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codewords: Tensor, decay: float, revive_below: float) -> None:
        super().__init__()
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("codewords", codewords.clone())
        self.register_buffer("counts", torch.ones(len(codewords)))
        self.register_buffer("sums", codewords.clone())

    def forward(self, residual: Tensor) -> Tensor:
        """The nearest codeword of each residual: (n, D) -> (n, D), without a gradient."""
        with torch.no_grad():
            distances = torch.addmm(self.codewords.square().sum(1) / 2, residual, self.codewords.T, alpha=-1)
            codes = distances.argmin(dim=1)
            chosen = self.codewords[codes]
            if self.training:
                self.update(residual, codes)
        return chosen

    def update(self, residual: Tensor, codes: Tensor) -> None:
        """Takes one batch into the running means, and revives dead codes with residuals drawn from it."""
        size = len(self.counts)
        per_code = len(residual) / size
        counts = torch.bincount(codes, minlength=size) / per_code  # 1 = chosen as often as the average code
        self.counts.lerp_(counts, 1 - self.decay)
        sums = torch.zeros_like(self.sums).index_add_(0, codes, residual) / per_code
        self.sums.lerp_(sums, 1 - self.decay)
        dead = torch.nonzero(self.counts < self.revive_below).flatten()
        drawn = torch.randint(len(residual), (len(dead),), device=residual.device)
        self.counts[dead], self.sums[dead] = 1.0, residual[drawn]
        self.codewords.copy_(self.sums / self.counts[:, None].clamp_min(1e-6))


class Autoencoder(LightningModule):
    """Encoder, residual codebooks and decoder, trained by reconstruction and commitment.

    Args:
        points: (I, E) items of mean squared length 1; the codebooks start from their latents.
        widths: of the encoder's layers, the latents' last.
        level_sizes: (L,) codes per level.
        steps: training steps.
        learning_rate: AdamW's, at its peak.
        options: commitment, decay, revive_below and gradient of `RQVAE`.
        seed: of the k-means that starts the codebooks.
    """

    def __init__(
        self,
        points: Tensor,
        widths: Sequence[int],
        level_sizes: Sequence[int],
        steps: int,
        learning_rate: float,
        options: dict[str, Any],
        seed: int,
    ) -> None:
        super().__init__()
        self.encoder = layers([points.shape[1], *widths])
        self.decoder = layers([*reversed(widths), points.shape[1]])
        self.codebooks = nn.ModuleList()
        self._level_sizes, self._steps, self._learning_rate = level_sizes, steps, learning_rate
        self._options, self._seed = options, seed
        self._points = points
        self._start = int(WARM_UP * steps)  # the step from which on it quantises

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        """The loss of a batch of points (n, E)."""
        if self.global_step >= self._start and not self.codebooks:
            self._start_codebooks()
        latents = self.encoder(batch)  # (n, D)
        residual, commitment = latents, latents.new_zeros(())
        for codebook in self.codebooks:
            chosen = codebook(residual)
            commitment = commitment + (residual - chosen).square().sum(1).mean()
            residual = residual - chosen
        if self.codebooks:
            commitment = commitment / self._variance
            pass_on = rotated if self._options["gradient"] == "rotation" else straight_through
            decoded = self.decoder(pass_on(latents, latents - residual))
        else:
            decoded = self.decoder(latents)
        loss: Tensor = (batch - decoded).square().sum(1).mean() + self._options["commitment"] * commitment
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    @torch.no_grad()
    def _start_codebooks(self) -> None:
        """Residual k-means of the latents; a level with fewer distinct ones than codes repeats them."""
        latents = torch.cat([self.encoder(chunk.to(self.device)) for chunk in self._points.split(CHUNK)]).cpu()
        self._variance = float((latents - latents.mean(0)).square().sum(1).mean()) or 1.0
        start = ResidualKMeans(len(self._level_sizes), self._level_sizes, START_ITERATIONS, 1, 0, "none")
        start.fit(latents.numpy(), self._seed)
        for codewords, size in zip(start.codebooks, self._level_sizes, strict=True):
            rows = torch.from_numpy(codewords)[torch.arange(size) % len(codewords)]
            codebook = Codebook(rows, self._options["decay"], self._options["revive_below"])
            self.codebooks.append(codebook.to(self.device))

    def configure_optimizers(self) -> Any:
        """AdamW with one cycle of its rate, over encoder and decoder: the codebooks are means."""
        optimizer = torch.optim.AdamW(self.parameters(), self._learning_rate)
        steps = self._steps + 1
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self._learning_rate, steps, pct_start=max(0.05, 2 / steps), cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def layers(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers from width to width with ReLU between them."""
    found: list[nn.Module] = []
    for width, following in pairwise(widths):
        found += [nn.ReLU()] * bool(found) + [nn.Linear(width, following)]
    return nn.Sequential(*found)


def straight_through(latents: Tensor, quantised: Tensor) -> Tensor:
    """The quantised latents (n, D), with a gradient as if nothing had happened."""
    return latents + (quantised - latents).detach()


def rotated(latents: Tensor, quantised: Tensor) -> Tensor:
    """The quantised latents (n, D), with a gradient through the rotation and stretch that leads to them."""
    lengths = latents.norm(dim=1, keepdim=True).clamp_min(1e-6)
    quantised_lengths = quantised.norm(dim=1, keepdim=True).clamp_min(1e-6)
    source, goal = (latents / lengths).detach(), (quantised / quantised_lengths).detach()
    middle = F.normalize(source + goal, dim=1)
    turned = (
        latents
        - 2 * (latents * middle).sum(1, keepdim=True) * middle
        + 2 * (latents * source).sum(1, keepdim=True) * goal
    )
    return turned * (quantised_lengths / lengths).detach()
