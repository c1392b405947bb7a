"""Seconds for the whole test set of Amazon Beauty."""

from collections.abc import Iterator, Sequence

from omegaconf import DictConfig

from promise import configs
from promise.bench.measure import Measure, Measurement, Skipped, clocked
from promise.bench.worlds import Sizes, World, sizes
from promise.pipeline.networks import build_networks
from promise.pipeline.stages import Pipeline
from promise.search.protocols import UserRows


def beauty(cfg: DictConfig) -> Iterator[Measure]:
    """Seconds of guided search, C = 4 W, for every test user; one pass, after a batch to warm up.

    Raises:
        Skipped: If the data are not given.
    """
    if cfg.bench.root is None:
        raise Skipped("needs bench.root")
    s = sizes(cfg)
    ours, batches = opened(cfg, s)
    search = ours.search("guided", width=s.width, candidates=4 * s.width)
    search.rank(batches[-1], s.width)
    seconds = clocked(lambda: [search.rank(batch, s.width) for batch in batches])
    users, kind = sum(len(batch.history) for batch in batches), "un" if cfg.bench.checkpoint is None else ""
    note = f"{users:,} users, {kind}trained; W={s.width}, C={4 * s.width}, generator={s.test_generator}; one pass"
    yield Measure("beauty_seconds", "s", seconds, goal=60.0, direction="at most", note=note)


def opened(cfg: DictConfig, s: Sizes) -> tuple[World, Sequence[UserRows]]:
    """The data in `bench.root`, prepared in the store if they are not there yet; trained networks if they are given."""
    words = ["data=amazon_beauty", f"data.root={cfg.bench.root}", f"generator={s.test_generator}", "split=test"]
    path = cfg.bench.checkpoint
    given = [] if path is None else [f"checkpoint={path}"]
    pipeline = Pipeline(configs.compose([*words, f"store={cfg.store}", *given]))
    generator, reward = pipeline.networks if path else build_networks(pipeline.cfg, pipeline.network_inputs, True)
    device = cfg.bench.device
    assert reward is not None
    ours = World(pipeline.trie.to(device), generator.eval().to(device), reward.eval().to(device))
    users = pipeline.datamodule().test_dataloader()
    return ours, [UserRows(batch.history.to(device), batch.lengths.to(device)) for batch in users]


MEASURES: dict[str, Measurement] = {"beauty": beauty}
