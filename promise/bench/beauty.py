"""Seconds for the whole test set of Amazon Beauty: the real one where it is given, else users and items like it."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from omegaconf import DictConfig

from promise import configs
from promise.bench.measure import Measure, Measurement, clocked
from promise.bench.worlds import Sizes, Users, World, draw_users, sizes, world
from promise.pipeline.networks import build_networks
from promise.pipeline.stages import Pipeline
from promise.search.protocols import Batch


def beauty(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds of guided search, C = 4 W, for every test user; one pass, after a batch to warm up."""
    s = sizes(cfg)
    ours, batches, note = simulated(cfg, s) if cfg.bench.root is None else real(cfg, s)
    search = ours.search("guided", width=s.width, candidates=4 * s.width)
    search.rank(batches[-1], s.width)
    seconds = clocked(lambda: [search.rank(batch, s.width) for batch in batches])
    users = sum(len(batch.history) for batch in batches)
    yield Measure(
        "beauty_seconds",
        "s",
        seconds,
        goal=60.0,
        direction="at most",
        note=f"{users:,} users, {note}; W={s.width}, C={4 * s.width}, generator={s.test_generator}; one pass",
    )


def simulated(cfg: DictConfig, s: Sizes) -> tuple[World, Sequence[Batch], str]:
    """A catalogue without single children; users whose histories are as long as Beauty's: 4 items and up, mean 8."""
    ours = world(s.items, s.history, [f"generator={s.test_generator}"], device=cfg.bench.device)
    drawn = 3 + np.random.default_rng(2).geometric(0.2, size=s.test_users).clip(max=s.history - 3)
    lengths = torch.from_numpy(drawn).sort(descending=True).values.to(cfg.bench.device)
    history = draw_users(s.test_users, s.items, s.history, cfg.bench.device).history
    batches = Users(history, lengths).batches(min(256, s.test_users))
    batches = [Users(part.history[:, : int(part.lengths.max())], part.lengths) for part in batches]
    return ours, batches, "simulated, untrained"


def real(cfg: DictConfig, s: Sizes) -> tuple[World, Sequence[Batch], str]:
    """The data in `bench.root`, prepared in the store if they are not there yet; trained networks if they are given."""
    words = ["data=amazon_beauty", f"data.root={cfg.bench.root}", f"generator={s.test_generator}", "split=test"]
    path = cfg.bench.checkpoint
    given = [] if path is None else [f"checkpoint={path}"]
    pipeline = Pipeline(configs.compose([*words, f"store={cfg.store}", *given]))
    generator, reward = pipeline.networks if path else build_networks(pipeline.cfg, pipeline.network_inputs, True)
    device = cfg.bench.device
    assert reward is not None
    ours = World(pipeline.trie.to(device), generator.eval().to(device), reward.eval().to(device))
    batches = [
        Users(batch.history.to(device), batch.lengths.to(device)) for batch in pipeline.datamodule().test_dataloader()
    ]
    return ours, batches, f"Amazon Beauty, {'untrained' if path is None else 'trained'}"


MEASURES: dict[str, Measurement] = {"beauty": beauty}
