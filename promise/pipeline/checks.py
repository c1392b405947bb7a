"""What a configuration must hold before any work begins; everything here is quick."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from promise.models.paths import hashed_rows
from promise.pipeline.config import given, plain, trainings
from promise.pipeline.item_files import read_ids
from promise.pipeline.model_folder import description
from promise.pipeline.trainings import trains_reward
from promise.search.options import check_options, entries, is_number
from promise.tasks.negatives import KINDS, unshared

log = logging.getLogger(__name__)

#: Exclusive upper end of seeds: scikit-learn takes no larger ones.
SEEDS = 2**32


def check(cfg: DictConfig, multirun: bool = False) -> None:
    """Check the whole configuration of a verb.

    Args:
        cfg: The composed config.
        multirun: Whether several jobs run: Hydra's multirun, or the points of a sweep.

    Raises:
        ValueError: Naming the dial as typed, what was expected and what came.
    """
    given(cfg)
    integer("seed", cfg.seed, least=0)
    if cfg.seed >= SEEDS:
        raise ValueError(f"seed must be below {SEEDS}, got {cfg.seed}")
    one_of("split", cfg.split, ("validation", "test"))
    one_of("build", cfg.build, ("auto", "never"))
    truth("evaluation.remove_seen", cfg.evaluation.remove_seen)
    for name in ("evaluation.allow", "evaluation.deny"):
        if (path := OmegaConf.select(cfg, name)) is not None:
            read_ids(name, path)
    for name in ("dry_run", "retry_failed"):
        truth(name, cfg[name])
    truth("evaluation.drift", cfg.evaluation.drift)
    if cfg.analysis is not None:
        check_analysis(cfg)
    check_cooccurrence(cfg)
    one_of("evaluation.precision", cfg.evaluation.precision, ("32-true", "bf16-mixed"))
    for name in ("evaluation.users", "checkpoint_selection.users"):
        if (users := OmegaConf.select(cfg, name)) is not None:
            integer(name, users, least=1)
    for name in (
        "checkpoint_selection.width",
        "datamodule.history",
        "datamodule.batch_size",
        "datamodule.evaluation_batch_size",
    ):
        integer(name, OmegaConf.select(cfg, name), least=1)
    integer("datamodule.workers", cfg.datamodule.workers, least=0)
    number("checkpoint_selection.expansion", cfg.checkpoint_selection.expansion, ">= 1", lambda value: value >= 1)
    check_options(plain(cfg.search))
    check_networks(cfg)
    check_trainings(cfg)
    check_sasrec(cfg)
    check_logger(cfg)
    if cfg.ids.path is not None and not Path(cfg.ids.path).is_file():
        raise ValueError(f"ids.path={cfg.ids.path} is no file")
    if cfg.checkpoint is not None:
        description(Path(cfg.checkpoint))
    if cfg.predictions is not None and not str(cfg.predictions).endswith(".parquet"):
        raise ValueError(f"predictions must name a .parquet file, got {cfg.predictions}")
    if multirun and str(cfg.trainer.strategy).startswith("ddp") and cfg.trainer.strategy != "ddp_spawn":
        raise ValueError(
            f"trainer.strategy={cfg.trainer.strategy} inside a multirun or sweep would train every process with other "
            "dials: use trainer.strategy=ddp_spawn, or one torchrun per point (dry_run=true lists them)"
        )


def check_networks(cfg: DictConfig) -> None:
    """Check what only shows when networks are built, and would come late then.

    Raises:
        ValueError: As `check`.
    """
    generator, reward = cfg.generator, cfg.reward
    for name in ("dim", "encoder_layers", "decoder_layers", "heads", "history"):
        integer(f"generator.{name}", generator[name], least=1)
    if generator.dim % generator.heads:
        raise ValueError(f"generator.dim must be a multiple of generator.heads={generator.heads}, got {generator.dim}")
    if generator.history != cfg.datamodule.history:
        raise ValueError(
            f"generator.history must be datamodule.history={cfg.datamodule.history}, got {generator.history}"
        )
    one_of("generator.attention", generator.attention, ("causal", "bidirectional"))
    for name in ("item_vectors", "content"):
        truth(f"generator.{name}", generator[name])
    truth("reward.content", reward.get("content", False))
    for name in ("generator.dropout", "reward.dropout"):
        number(name, OmegaConf.select(cfg, name, default=0), "in [0, 1)", lambda value: 0 <= value < 1)
    for name in ("dim", "heads", "blocks"):
        if reward.get(name) is not None:
            integer(f"reward.{name}", reward[name], least=1)
    hashed_rows(reward.get("prefix_table", "full"))
    number("reward.temperature", reward.get("temperature", 1), "> 0", lambda value: value > 0)


def check_cooccurrence(cfg: DictConfig) -> None:
    """Check the counts that the networks are wrapped in, if any.

    Raises:
        ValueError: As `check`.
    """
    counts = cfg.cooccurrence or {}
    for name in counts:
        if name in ("neighbours", "text_neighbours", "window"):
            integer(f"cooccurrence.{name}", counts[name], least=int(name == "window"))
        else:
            number(f"cooccurrence.{name}", counts[name], ">= 0", lambda value: value >= 0)


def check_trainings(cfg: DictConfig) -> None:
    """Check what only shows when a training begins, and would come late then.

    Raises:
        ValueError: As `check`.
    """
    reward: Any = get_class(cfg.reward["_target_"])
    for fit in trainings(cfg):
        if fit.get("negatives") in KINDS[2:] and not reward.shares_negatives:
            raise ValueError(unshared(fit["negatives"]))
        one_of("training.softmax", fit.get("softmax", "all"), ("allowed", "all"))
        if fit.get("negatives") is not None:
            one_of("training.negatives", fit["negatives"], KINDS)
        if fit.get("negative_count") is not None:
            integer("training.negative_count", fit["negative_count"], least=1)
        number("training.reward_loss_weight", fit.get("reward_loss_weight", 1), "> 0", lambda value: value > 0)
        check_schedule("training", fit)


def check_sasrec(cfg: DictConfig) -> None:
    """Check the network of `search=sasrec` and its training, which would begin late.

    Raises:
        ValueError: As `check`.
    """
    network = cfg.sasrec.network
    for name in ("dim", "blocks", "heads", "history"):
        integer(f"sasrec.network.{name}", network[name], least=1)
    if network.dim % network.heads:
        raise ValueError(
            f"sasrec.network.dim must be a multiple of sasrec.network.heads={network.heads}, got {network.dim}"
        )
    number("sasrec.network.dropout", network.dropout, "in [0, 1)", lambda value: 0 <= value < 1)
    check_schedule("sasrec.training", plain(cfg.sasrec.training))


def check_logger(cfg: DictConfig) -> None:
    """Check W&B's dials; where it can't work online, fall back if that was asked for.

    Raises:
        ValueError: If a dial is wrong, or W&B has no key or can't be reached, and logger.fallback is null.
    """
    logger = cfg.logger
    if "WandbLogger" not in logger["_target_"]:
        return
    one_of("logger.mode", logger.mode, ("offline", "online"))
    if logger.get("fallback") is not None:
        one_of("logger.fallback", logger.fallback, ("offline", "null"))
    truth("logger.artifacts", logger.get("artifacts", False))
    if logger.mode == "offline" or (why := why_not_online()) is None:
        return
    if logger.get("fallback") is None:
        raise ValueError(
            f"logger.mode=online: {why}; run `wandb login`, or set WANDB_API_KEY, or use logger.mode=offline "
            "(logger.fallback=offline does so by itself)"
        )
    fall_back(why)
    logger.mode = "offline"


@cache
def why_not_online() -> str | None:
    """What keeps W&B from working online, such as a missing key; None if nothing does. Nobody is prompted."""
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    try:
        return None if wandb.login(prompt=False) else "W&B has no API key"
    except wandb.errors.Error as error:
        return f"W&B can't be reached ({str(error).splitlines()[0]})"


@cache
def fall_back(why: str) -> None:
    """Say once in a process that runs are kept offline."""
    log.warning("logger.mode=online: %s; runs are kept offline, `wandb sync DIR` uploads them", why)


def check_schedule(group: str, fit: Mapping[str, Any]) -> None:
    """Check the dials of a schedule, as far as a training has them.

    Raises:
        ValueError: As `check`.
    """
    number(f"{group}.learning_rate", fit.get("learning_rate", 1), "> 0", lambda value: value > 0)
    number(f"{group}.weight_decay", fit.get("weight_decay", 0), ">= 0", lambda value: value >= 0)
    for name, least in (("warmup_steps", 0), ("epochs", 1), ("patience", 1)):
        integer(f"{group}.{name}", fit.get(name, least), least)
    if fit.get("ema_decay") is not None:
        number(f"{group}.ema_decay", fit["ema_decay"], "in (0, 1) or null", lambda value: 0 < value < 1)


def check_judge(cfg: DictConfig) -> None:
    """Check that a search which trusts a reward model will have one.

    Raises:
        ValueError: If only a generator would be trained.
    """
    weight = plain(cfg.search).get("weight", 0)
    judge = any(map(trains_reward, trainings(cfg)))
    if cfg.checkpoint is None and not judge and any(entries(weight)):
        raise ValueError(
            f"search.weight={weight} needs a reward model and training=generator trains none: "
            "use search=plain, or search.weight=0"
        )


def check_analysis(cfg: DictConfig) -> None:
    """Check that the analysis is a known one and has two searches to compare.

    Raises:
        ValueError: If it is none, the search keeps no beams, or asks no reward, or a dial means nothing to an analysis.
    """
    if cfg.analysis != "drift":
        raise ValueError(f"analysis must be drift or null, got {cfg.analysis}")
    search = plain(cfg.search)
    if not getattr(get_class(search["_target_"]), "beam_options", False):
        raise ValueError(f"analysis=drift needs search=guided or search=orm, got {search['_target_']}")
    if not any(entries(search["weight"])):
        raise ValueError("analysis=drift compares guided search with a plain beam: it needs search.weight > 0, got 0")
    if cfg.predictions is not None:
        raise ValueError("analysis=drift writes no predictions: ask for one of them at a time")


def integer(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless the value is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value}")


def number(name: str, value: Any, allowed: str, holds: Callable[[float], bool]) -> None:
    """Raise ValueError unless the value is a finite number that holds; `allowed` says which ones do."""
    if not is_number(value) or not holds(value):
        raise ValueError(f"{name} must be a number {allowed}, got {value}")


def one_of(name: str, value: Any, options: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be {', '.join(options[:-1])} or {options[-1]}, got {value}")


def truth(name: str, value: Any) -> None:
    """Raise ValueError unless the value is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value}")
