"""The datamodule and its sampler: coverage, order, ranks, epochs, and what Lightning makes of it."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from promise.data.batch import Batch
from promise.data.datamodule import HistoryDataModule, LengthSampler
from promise.data.datasets import EvaluationDataset, Prefixes, Windows
from promise.data.histories import Histories


def histories(users: int = 50, longest: int = 30, seed: int = 0) -> Histories:
    random = np.random.default_rng(seed)
    counts = random.integers(3, longest + 1, users)
    items = random.integers(0, 40, counts.sum(), dtype=np.int32)
    return Histories(items, np.cumsum([0, *counts]), 40)


def module(**changes) -> HistoryDataModule:
    settings = {"history": 10, "batch_size": 8, "evaluation_batch_size": 16, "workers": 0, "histories": histories()}
    settings |= {"rows": "windows", "split": "test", "users": None, "validation_users": 20, "seed": 1}
    return HistoryDataModule(**{**settings, **changes})


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("users, batch_size, world_size", [(50, 8, 1), (50, 8, 3), (7, 1, 2), (3, 100, 3), (1, 5, 1)])
def test_ranks_share_all_rows_in_equal_steps(users, batch_size, world_size, shuffle):
    rows = EvaluationDataset(histories(users), "test", np.arange(users))
    ranks = [list(LengthSampler(rows, batch_size, shuffle, 0, rank, world_size)) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    assert len(ranks[0]) == len(LengthSampler(rows, batch_size, shuffle, 0, 0, world_size))
    sizes = {len(batch) for batches in ranks for batch in batches}
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch_size, 2)
    drawn = np.concatenate([batch for batches in ranks for batch in batches])
    assert sorted(drawn) == list(range(users))


def test_training_order_depends_on_seed_and_epoch_alone():
    def order(seed: int, epoch: int) -> list[int]:
        sampler = LengthSampler(Prefixes(histories(), 10), 8, True, seed, 0, 1)
        sampler.set_epoch(epoch)
        return np.concatenate(list(sampler)).tolist()

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_batches_hold_histories_of_like_length():
    rows = Prefixes(histories(users=400, longest=60), 50)
    sampler = LengthSampler(rows, 32, True, 0, 0, 1)
    padded = sum(rows.sizes(batch).max() * len(batch) for batch in sampler)
    assert padded < 1.05 * rows.sizes(np.arange(len(rows))).sum()
    firsts = [int(rows.sizes(batch)[0]) for batch in sampler]
    assert firsts != sorted(firsts)


def test_evaluation_begins_with_the_longest_histories():
    lengths = [batch.lengths.tolist() for batch in module().test_dataloader()]
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat, reverse=True)
    assert len(flat) == 50


@pytest.mark.parametrize("split", ["validation", "test"])
def test_loaders_serve_the_users_and_targets_asked_for(split):
    data = module(users=12, split=split)
    users = torch.cat([batch.users for batch in data.test_dataloader()]).numpy()
    targets = torch.cat([batch.targets for batch in data.test_dataloader()])[:, 0].numpy()
    assert len(set(users)) == 12
    assert targets.tolist() == histories().targets(split, users).tolist()
    assert sum(len(batch.users) for batch in data.val_dataloader()) == 20


@pytest.mark.parametrize("rows, kind", [("windows", Windows), ("prefixes", Prefixes)])
def test_training_serves_every_row_once(rows, kind):
    loader = module(rows=rows).train_dataloader()
    assert sum(len(batch.users) for batch in loader) == len(kind(histories(), 10))
    targets = torch.cat([batch.targets.flatten() for batch in loader])
    assert (targets >= 0).sum() == (np.diff(histories().offsets) - 3).sum()


def test_workers_serve_the_same_batches(tmp_path):
    histories().save(tmp_path)
    here = list(module().train_dataloader())
    there = list(module(workers=1, histories=Histories.open(tmp_path)).train_dataloader())
    assert all(isinstance(batch, Batch) for batch in there)
    assert all(
        torch.equal(mine, theirs)
        for one, other in zip(here, there, strict=True)
        for mine, theirs in zip(one, other, strict=True)
    )


class Recorder(LightningModule):
    """Notes the users of every batch it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.trained: list[list[list[int]]] = []
        self.validated: list[list[int]] = []

    def on_train_epoch_start(self) -> None:
        self.trained.append([])

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        assert isinstance(batch, Batch)
        self.trained[-1].append(batch.users.tolist())
        return self.weight.sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        self.validated.append(batch.users.tolist())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def lightning() -> Iterator[None]:
    """Lightning advises more workers than the tests want, and calls a part of torch that is about to go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        yield


def trainer(folder, epochs: int) -> Trainer:
    names = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet: dict = {**dict.fromkeys(names, False), "num_sanity_val_steps": 0}
    return Trainer(accelerator="cpu", max_epochs=epochs, default_root_dir=folder, **quiet)


def test_lightning_draws_a_new_order_every_epoch_and_resumes_exactly(tmp_path, lightning):
    whole, resumed = Recorder(), Recorder()
    trainer(tmp_path, 3).fit(whole, datamodule=module())
    first = trainer(tmp_path, 2)
    first.fit(Recorder(), datamodule=module())
    first.save_checkpoint(tmp_path / "two.ckpt")
    trainer(tmp_path, 3).fit(resumed, datamodule=module(), ckpt_path=tmp_path / "two.ckpt")
    assert len(whole.trained) == 3
    assert whole.trained[0] != whole.trained[1] != whole.trained[2]
    assert resumed.trained == whole.trained[2:]
    assert sum(map(len, whole.validated)) == 3 * 20


def test_lightning_tells_the_sampler_its_rank():
    class TwoProcesses:
        global_rank, world_size = 1, 2

    data = module()
    data.trainer = TwoProcesses()
    sampler = data.train_dataloader().sampler
    assert (sampler.rank, sampler.num_replicas) == (1, 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: module(history=0), "datamodule.history must be >= 1, got 0"),
        (lambda: module(batch_size=0), "datamodule.batch_size must be >= 1, got 0"),
        (lambda: module(evaluation_batch_size=0), "datamodule.evaluation_batch_size must be >= 1, got 0"),
        (lambda: module(workers=-1), "datamodule.workers must be >= 0, got -1"),
        (lambda: module(split="train"), "split must be validation or test, got train"),
        (lambda: module(users=0), "users must be >= 1 or null, got 0"),
        (lambda: module(rows="sentences"), "rows must be windows or prefixes, got sentences"),
        (
            lambda: LengthSampler(EvaluationDataset(histories(2), "test", np.arange(2)), 8, True, 0, 0, 3),
            "3 processes need a row each, there are 2",
        ),
        (
            lambda: module(histories=histories(users=4, longest=3)).train_dataloader(),
            "nothing to train on: every user has only 3 interactions",
        ),
    ],
)
def test_wrong_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
