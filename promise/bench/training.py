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
    codes = catalogue(s.items)
    drawn = np.random.default_rng(1).integers(s.items, size=(rows, s.history + 1))
    batch = windows(torch.from_numpy(drawn).to(device))
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


def windows(items: Tensor) -> Batch:
    """Histories (B, H) of items (B, H + 1), in which every item but the first is a target."""
    history = items[:, :-1]
    rows, length = history.shape
    return Batch(
        users=torch.arange(rows, device=items.device),
        history=history,
        lengths=torch.full((rows,), length, device=items.device),
        positions=torch.arange(length, device=items.device).expand(rows, -1),
        targets=items[:, 1:],
    )


def ours(recipe: list[str], codes: np.ndarray, batch: Batch) -> Training:
    """Our task of a recipe, with all that its networks have by default.

    Args:
        recipe: Overrides of the root config.
        codes: Semantic IDs (I, L).
        batch: What it is trained on.
    """
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
    """T5 over the codes of the same histories, and of the last target of each.

    Args:
        shape: Config of our generator, whose width, layers, heads and dropout it gets.
        codes: Semantic IDs (I, L).
        batch: What it is trained on.

    Raises:
        Skipped: If transformers is not installed.
    """
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
    for name, items, how in (
        ("lazy", s.union, lazy),
        ("dense", s.union, dense),
        ("small", s.small, lazy),
        ("large", s.large, lazy),
    ):
        drawn = np.random.default_rng(1).integers(items, size=(rows, length + 1))
        rivals[name] = ours([*recipe, how], catalogue(items), windows(torch.from_numpy(drawn).to(device)))
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
    codes = catalogue(s.items)
    drawn = np.random.default_rng(1).integers(s.items, size=(rows, s.history + 1))
    batch = windows(torch.from_numpy(drawn).to(device))
    peak = matmul_peak(torch.float32, device, quick)
    note = f"{s.items:,} items, batch {rows}, {s.history} items each; products as torch counts them"
    for size, goal in (("tiny", 0.35),) if quick else (("small", 0.35), ("base", 0.50)):
        one = step(ours([f"generator={size}", f"datamodule.history={s.history}"], codes, batch), torch.float32, device)
        with unlogged():
            with FlopCounterMode(display=False) as counted:
                one()
            timing = interleaved({"one": one}, cfg.bench.repeats)["one"]
            rate = counted.get_total_flops() / timing.median
            yield Measure(
                f"training_matmul_share_{size}", "GFLOP/s", rate / 1e9, peak / 1e9, rate / peak, goal=goal, note=note
            )
            if device == "cpu" and torch.get_num_threads() > 1:
                timings = interleaved({str(n): partial(on_threads, n, one) for n in (1, 2)}, cfg.bench.repeats)
                yield Measure(
                    f"training_second_core_{size}",
                    "ms",
                    1e3 * timings["2"].median,
                    1e3 * timings["1"].median,
                    goal=1.6,
                    note=f"two threads over one; {note}",
                    **timings["1"].over(timings["2"]),
                )


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
