"""A tiny world of histories that follow a rule, networks for it, and Lightning without its advice."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from promise.data.batch import Batch
from promise.data.datamodule import HistoryDataModule
from promise.data.histories import Histories
from promise.ids.trie import Trie
from promise.models.generator import Generator
from promise.models.reward import CrossAttentionReward, DotReward, RewardModel
from promise.models.sasrec import SASRec
from promise.search.guided import GuidedSearch
from promise.tasks.generator import GeneratorTask
from promise.tasks.joint import JointTask
from promise.tasks.reward import RewardTask
from promise.tasks.sasrec import SASRecTask

SIZES = (4, 5, 3)
ITEMS = 30
LIMIT = 6

#: Lightning's advice on a world as small as this, and calls to parts of torch that are about to go.
NOT_NEWS = (
    ".*does not have many workers.*",
    ".*LeafSpec.* is deprecated",
    ".*treespec.*",
    ".*exists and is not empty.*",
    ".*Found .* module.* in eval mode.*",
)


class World:
    """30 items on distinct paths, 24 users whose next item mostly follows from the last, and networks for them."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        flat = random.choice(np.prod(SIZES), ITEMS, replace=False)
        self.codes = torch.from_numpy(np.stack(np.unravel_index(flat, SIZES), axis=1))
        self.trie = Trie(self.codes, SIZES)
        counts = random.integers(3, 15, 24)
        histories = [(random.integers(ITEMS) + 7 * np.arange(n)) % ITEMS for n in counts]
        self.histories = Histories(np.concatenate(histories).astype(np.int32), np.cumsum([0, *counts]), ITEMS)

    def generator(self, **changes: Any) -> Generator:
        torch.manual_seed(changes.pop("seed", 0))
        settings = {"dim": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.2, "history": LIMIT}
        settings |= {"attention": "causal", "item_vectors": True, "content": False}
        settings |= {"codes": self.codes, "level_sizes": SIZES}
        return Generator(**{**settings, **changes})

    def reward(self, kind: str = "dot", trie: Trie | None = None, **changes: Any) -> RewardModel:
        trie = trie or self.trie
        prefixes = [trie.prefixes(depth) for depth in range(1, trie.levels + 1)]
        shared = {"prefix_table": "full", "dropout": 0.2, "content": False, "user_dim": 16}
        shared |= {"prefixes": prefixes, "level_sizes": trie.level_sizes}
        torch.manual_seed(1)
        if kind == "dot":
            return DotReward(**{"dim": 8, "temperature": 5.0, **shared, **changes})
        return CrossAttentionReward(**{"dim": 8, "heads": 2, "blocks": 1, **shared, **changes})

    def ranker(self, generator: Generator, reward: Any, width: int = 10) -> GuidedSearch:
        weight = 1.0 if reward else 0.0
        dials = (width, 2 if reward else 1, None, weight, 1.0, False)
        return GuidedSearch(*dials, generator=generator, reward=reward, trie=self.trie)

    def task(self, kind: str, generator: Generator | None = None, reward: Any = None, **changes: Any) -> Any:
        """A task with small settings."""
        settings: dict[str, Any] = {"learning_rate": 0.01, "weight_decay": 0.01, "warmup_steps": 2, "epochs": 2}
        settings |= {"patience": 9, "ema_decay": None, "seed": 5}
        if kind == "sasrec":
            torch.manual_seed(0)
            network = SASRec(16, 1, 2, changes.pop("dropout", 0.2), LIMIT, item_count=ITEMS)
            return SASRecTask(**{**settings, **changes}, network=network)
        generator = generator or self.generator()
        reward = None if kind == "generator" else reward or self.reward()
        if kind != "reward":
            settings["softmax"] = "allowed"
        if kind != "generator":
            settings |= {"negatives": "sampled", "negative_count": 8}
        if kind == "joint":
            settings["reward_loss_weight"] = 1.0
        run_time = {"trie": self.trie, "ranker": self.ranker(generator, reward)}
        made = {"generator": GeneratorTask, "reward": RewardTask, "joint": JointTask}[kind]
        return made(**{**settings, **changes}, generator=generator, reward=reward, **run_time)

    def data(self, **changes: Any) -> HistoryDataModule:
        settings = {"history": LIMIT, "batch_size": 4, "evaluation_batch_size": 7, "workers": 0, "seed": 1}
        settings |= {"histories": self.histories, "rows": "windows", "split": "test", "users": None}
        settings |= {"validation_users": 10}
        return HistoryDataModule(**{**settings, **changes})

    def batch(self, rows: str = "windows") -> Batch:
        """All training rows at once."""
        (batch,) = self.data(batch_size=1000, rows=rows).train_dataloader()
        return batch

    def result(self, task: Any, **changes: Any) -> Any:
        """What an evaluating task finds of the users."""
        trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
        trainer.test(task, datamodule=self.data(**changes), verbose=False)
        return task.result()

    def losses(self, task: LightningModule, steps: int, learning_rate: float = 0.02) -> list[dict[str, float]]:
        """What a task logs over steps on one batch."""
        found: list[dict[str, float]] = []
        task.log_dict = lambda values, **_: found.append({name: value.item() for name, value in values.items()})
        task.log = lambda name, value, **_: found.append({name: value.item()})
        batch, optimizer = self.batch(), torch.optim.AdamW(task.parameters(), lr=learning_rate)
        for _ in range(steps):
            optimizer.zero_grad()
            task.training_step(batch, 0).backward()
            optimizer.step()
        return found

    def fit(
        self, task: LightningModule, folder: Any, callbacks: list[Callback] | None = None, **settings: Any
    ) -> Trainer:
        """Train a task as the pipeline does, from a checkpoint if `ckpt_path` is given."""
        resume = settings.pop("ckpt_path", None)
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        given = {
            "accelerator": "cpu",
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 1,
            "callbacks": callbacks,
            **quiet,
            **settings,
        }
        trainer = Trainer(max_epochs=task.epochs, default_root_dir=folder, **given)
        trainer.fit(task, datamodule=self.data(), ckpt_path=resume)
        return trainer


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lightning() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in NOT_NEWS:
            warnings.filterwarnings("ignore", message=message)
        yield
