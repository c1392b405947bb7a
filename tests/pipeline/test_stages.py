"""Stages are built once, named by what made them, and told apart by nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from promise.ids.semantic_ids import SemanticIds
from promise.pipeline.preparation import categories_of

PipelineOf = Callable[..., Any]
#: Options of the trainer that move weights.
ACTING = (
    "limit_train_batches", "limit_val_batches", "max_steps", "accumulate_grad_batches", "min_epochs", "overfit_batches",
)  # fmt: skip


def test_every_stage_is_built_once(pipeline_of: PipelineOf, shared_store: Path) -> None:
    first, again = pipeline_of(), pipeline_of()
    generator, reward = first.networks
    same, _ = again.networks
    assert again.built == []
    assert reward is not None and not generator.training and not reward.training
    for name, value in generator.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert again.model.fingerprint == first.model.fingerprint
    assert not list((shared_store / "artifacts").glob("joint-*/checkpoints"))


@pytest.mark.parametrize(
    ("words", "rebuilt"),
    [
        (["search=plain", "search.width=3", "evaluation.users=5", "split=test", "evaluation.remove_seen=true"], []),
        (["datamodule.evaluation_batch_size=7", "logger.save_dir=elsewhere", "+trainer.profiler=simple"], []),
        (["datamodule.workers=2", "+trainer.log_every_n_steps=1"], []),
        (["training.epochs=1"], ["joint"]),
        (["datamodule.batch_size=16"], ["joint"]),
        (["datamodule.history=9", "generator.history=20"], ["joint"]),  # other windows for the same networks
        (["trainer.precision=64-true"], ["joint"]),
        (["trainer.devices=2"], ["joint"]),
        *(([f"+trainer.{name}=2"], ["joint"]) for name in ACTING),
        (["checkpoint_selection.users=10"], ["joint"]),
        (["generator.dropout=0.1"], ["joint"]),
        (["ids.codes=4"], ["ids", "joint"]),
        (["embeddings.parts.text.weight=3"], ["embeddings", "ids", "joint"]),
        (["seed=1"], ["embeddings", "ids", "joint"]),
        (["data.items=null"], ["data", "embeddings", "ids", "joint"]),
    ],
    ids=lambda value: ",".join(value),
)
def test_a_dial_rebuilds_what_it_acts_on(pipeline_of, words, rebuilt, monkeypatch):
    """No network is trained for this: only the names of the stages are asked for."""
    built: list[dict[str, str]] = []
    for overrides in ([], words):
        pipeline = pipeline_of(*overrides)
        names = {"data": pipeline.data.path.name, "embeddings": pipeline.embeddings.path.name}
        names["ids"] = pipeline.ids_path.parent.name
        _ = pipeline.content

        def name_only(
            stage: str, config: Any, inputs: Any, version: int, *_: Any, at: Any = pipeline, **__: Any
        ) -> Any:
            raise KeyError(at.store.key(stage, config, inputs, version))

        monkeypatch.setattr(pipeline.store, "get_or_build", name_only)
        with pytest.raises(KeyError) as key:
            _ = pipeline.trained_networks
        built.append(names | {"joint": key.value.args[0]})
    assert [stage for stage in built[0] if built[0][stage] != built[1][stage]] == rebuilt


def test_categories_are_numbered_by_the_alphabet_whatever_the_process_knows() -> None:
    pl.Series(["z", "b"], dtype=pl.Categorical)  # strings that the process numbers for itself
    items = pl.DataFrame({"category": ["b", None, "z", "a", "b"]})
    found = categories_of(items)
    assert found is not None and found.tolist() == [1, -1, 2, 0, 1]
    nothing = categories_of(items.with_columns(category=pl.lit(None, pl.String)))
    assert nothing is not None and nothing.tolist() == [-1] * 5 and categories_of(items.drop("category")) is None


def test_names_of_files_do_not_count(pipeline_of: PipelineOf, world: Any, tmp_path: Path) -> None:
    shutil.copy(world.folder / "sequences.txt", tmp_path / "other.txt")
    moved = pipeline_of(f"data.sequences={tmp_path / 'other.txt'}")
    assert moved.data.path == pipeline_of().data.path


def test_never_builds_nothing(pipeline_of: PipelineOf, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^build=never, but data .* `promise prepare` builds it$"):
        _ = pipeline_of("build=never", store=tmp_path).networks
    _ = pipeline_of(store=tmp_path).ids, pipeline_of(store=tmp_path).content
    with pytest.raises(ValueError, match=r"^build=never, but joint .* `promise train` builds it$"):
        _ = pipeline_of("build=never", store=tmp_path).networks
    assert not [path for path in (tmp_path / "artifacts").iterdir() if path.name.startswith((".partial", "joint"))]


def test_given_ids(pipeline_of: PipelineOf, tmp_path: Path) -> None:
    codes = np.stack([np.arange(40) // 8, np.arange(40) % 8], axis=1).astype(np.int32)
    SemanticIds(codes, (5, 8), {}).save(tmp_path / "own.npz")
    pipeline = pipeline_of(f"ids.path={tmp_path / 'own.npz'}", store=tmp_path)
    assert pipeline.trie.levels == 2
    assert pipeline.built == [] or pipeline.built == ["data"]  # no embeddings are made for nothing
    SemanticIds(codes[:7], (5, 8), {}).save(tmp_path / "few.npz")
    with pytest.raises(ValueError, match=r"^ids\.path=.*few\.npz has 7 items, the data have 40$"):
        pipeline_of(f"ids.path={tmp_path / 'few.npz'}").check_inputs()


def test_a_debugging_run_that_keeps_nothing_is_refused(pipeline_of: PipelineOf) -> None:
    with pytest.raises(ValueError, match=r"^trainer\.fast_dev_run trains nothing that could be kept"):
        _ = pipeline_of("+trainer.fast_dev_run=true").trained_networks
