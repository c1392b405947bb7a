"""The speed of training: beside a T5 of equal size, over large catalogues, against the machine's own peak."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from promise import configs
from promise.bench.machine import matmul_peak
from promise.bench.measure import TYPES, Measure, Measurement, interleaved, type_name
from promise.bench.peers import FIRST, t5
from promise.bench.worlds import CODES, LEVELS, catalogue, sizes
from promise.data.batch import Batch
from promise.ids.semantic_ids import SemanticIds
from promise.ids.trie import Trie
from promise.pipeline.config import make, plain
from promise.pipeline.networks import NetworkInputs, build_networks
from promise.pipeline.trainings import trains_reward
from promise.tasks.schedule import adamw, clip, make_sparse

#: Width of the item embeddings, that of the default ones.
_CONTENT = 160


class Training(NamedTuple):
    """A network to train, its loss on one batch, and the number of targets of that batch."""

    network: nn.Module
    loss: Callable[[], Tensor]
    targets: int


def training(cfg: DictConfig) -> Iterator[Measure]:
    """Whole steps (loss, gradients, clipping, AdamW) of the default recipe and of T5."""
    s, quick, device = sizes(cfg), cfg.bench.quick, cfg.bench.device
    rows = 4 if quick else 128
    recipe = [f"generator={'tiny' if quick else 'small'}", f"datamodule.history={s.history}"]
    codes, batch = catalogue(s.items), windows(s.items, rows, s.history, device)
    rivals = {name: ours([*recipe, f"training={name}"], codes, batch) for name in ("joint", "generator")}
    rivals["theirs"] = theirs(configs.compose(recipe).generator, codes, batch)
    with unlogged():
        steps = {name + end: step(rival, TYPES[end], device) for end in TYPES for name, rival in rivals.items()}
        timings = interleaved(steps, cfg.bench.repeats)
    shape = configs.compose(recipe).generator
    note = f"D={shape.dim}, {shape.encoder_layers}+{shape.decoder_layers} layers, batch {rows}, {s.history} items each"
    note += f"; ours a target per item, HF T5 {LEVELS * s.history} tokens and a target per row"
    for suffix, dtype in TYPES.items():
        for name in ("joint", "generator"):
            work, named = (rivals[name].targets, rivals["theirs"].targets), f"training_{name}{suffix}"
            mine, peers = timings[name + suffix], timings[f"theirs{suffix}"]
            yield mine.rate(peers, work, named, "targets/s", goal=10.0, note=note, dtype=type_name(dtype))


def windows(items: int, rows: int, length: int, device: str) -> Batch:
    """Histories (rows, length), drawn evenly from so many items, in which every item but the first is a target."""
    drawn = torch.from_numpy(np.random.default_rng(1).integers(items, size=(rows, length + 1))).to(device)
    users, places = torch.arange(rows, device=device), torch.arange(length, device=device)
    return Batch(users, drawn[:, :-1], torch.full_like(users, length), places.expand(rows, -1), drawn[:, 1:])


def ours(recipe: list[str], codes: np.ndarray, batch: Batch) -> Training:
    """Our task of a recipe (overrides of the root config), with all that its networks have by default."""
    cfg = configs.compose(recipe)
    level_sizes = (CODES,) * LEVELS
    trie = Trie(codes, level_sizes)
    vectors = np.random.default_rng(2).standard_normal((len(codes), _CONTENT), dtype=np.float32)
    inputs = NetworkInputs(SemanticIds(codes, level_sizes, {}), trie, vectors)
    generator, reward = build_networks(cfg, inputs, trains_reward(plain(cfg.training)))
    task = make(plain(cfg.training), generator=generator, reward=reward, trie=trie, ranker=None, seed=0)
    task.to(batch.history.device)
    return Training(task, partial(task.training_step, batch, 0), batch.targets.numel())


def theirs(shape: DictConfig, codes: np.ndarray, batch: Batch) -> Training:
    """T5, as wide and as deep as our generator of this config, over the same histories and the last target of each."""
    device = batch.history.device
    layers = (shape.encoder_layers, shape.decoder_layers)
    model = t5(LEVELS * CODES, shape.dim, shape.heads, layers, shape.dropout).train().to(device)
    tokens = torch.from_numpy(codes + FIRST + CODES * np.arange(LEVELS)).to(device)  # (I, L)
    inputs, labels = tokens[batch.history].flatten(1), tokens[batch.targets[:, -1]]
    return Training(model, lambda: model(input_ids=inputs, labels=labels).loss, len(labels))


def step(training: Training, dtype: torch.dtype, device: str) -> Callable[[], None]:
    """A function that makes one optimiser step, with forward pass and loss in a type."""
    parameters = [parameter for parameter in training.network.parameters() if parameter.requires_grad]
    make_sparse(training.network, getattr(training.network, "sparse_rows", None))
    optimizer, _ = adamw(parameters, learning_rate=1e-3, weight_decay=0.05, warmup_steps=0, total_steps=1000)

    def one() -> None:
        with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
            loss = training.loss()
        optimizer.zero_grad()
        loss.backward()
        clip(parameters, 1.0)
        optimizer.step()

    return one


def large(cfg: DictConfig) -> Iterator[Measure]:
    """Steps over a large catalogue: with lazy tables against dense ones, and over 10⁶ items against 10⁴."""
    s, quick, device = sizes(cfg), cfg.bench.quick, cfg.bench.device
    rows, length = (4, s.history) if quick else (128, 7)  # mean length of amazon_union
    recipe = ["generator=tiny", f"datamodule.history={s.history}", "training.negatives=sampled"]
    lazy, dense = "training.sparse_rows=1", "training.sparse_rows=null"
    rivals = {}
    catalogues = {"lazy": s.union, "dense": s.union, "small": s.small, "large": s.large}
    for name, items in catalogues.items():
        how = dense if name == "dense" else lazy
        rivals[name] = ours([*recipe, how], catalogue(items), windows(items, rows, length, device))
    with unlogged():
        steps = {name: step(rival, torch.float32, device) for name, rival in rivals.items()}
        timings = interleaved(steps, cfg.bench.repeats)
    note = f"generator=tiny, batch {rows}, {length} items each, 2,048 sampled negatives"
    work, lazily = (rivals["lazy"].targets,) * 2, f"{s.union:,} items; {note}; both AdamW fused"
    yield timings["lazy"].rate(timings["dense"], work, "training_lazy_over_dense", "targets/s", note=lazily)
    yield timings["large"].time(timings["small"], "training_1e6_over_1e4", goal=1.5, note=note)


def share(cfg: DictConfig) -> Iterator[Measure]:
    """Steps of the default recipe against torch's own matrix products, and on two threads against one."""
    s, quick, device = sizes(cfg), cfg.bench.quick, cfg.bench.device
    rows = 4 if quick else 128
    codes, batch = catalogue(s.items), windows(s.items, rows, s.history, device)
    peak = matmul_peak(torch.float32, device, quick)
    note = f"{s.items:,} items, batch {rows}, {s.history} items each; products as torch counts them"
    for size, goal in (("tiny", 0.35),) if quick else (("small", 0.35), ("base", 0.50)):
        one = step(ours([f"generator={size}", f"datamodule.history={s.history}"], codes, batch), torch.float32, device)
        with unlogged():
            with FlopCounterMode(display=False) as counted:
                one()
            timing = interleaved({"one": one}, cfg.bench.repeats)["one"]
            rate = counted.get_total_flops() / timing.median
            name, reached = f"training_matmul_share_{size}", (rate / 1e9, peak / 1e9, rate / peak)
            yield Measure(name, "GFLOP/s", *reached, goal=goal, note=note)
            if device == "cpu" and torch.get_num_threads() > 1:
                timings = interleaved({str(n): partial(on_threads, n, one) for n in (1, 2)}, cfg.bench.repeats)
                name, two = f"training_second_core_{size}", f"two threads over one; {note}"
                ours_ms, one_ms = 1e3 * timings["2"].median, 1e3 * timings["1"].median
                yield Measure(name, "ms", ours_ms, one_ms, goal=1.6, note=two, **timings["1"].over(timings["2"]))


def on_threads(count: int, function: Callable[[], None]) -> None:
    """Call a function on so many of torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        function()
    finally:
        torch.set_num_threads(before)


@contextmanager
def unlogged() -> Iterator[None]:
    """Without Lightning's word that a task logs to no trainer."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are trying to `self.log")
        yield


MEASURES: dict[str, Measurement] = {"training": training, "training_large": large, "training_share": share}
