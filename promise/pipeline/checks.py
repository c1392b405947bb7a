"""Values that a configuration must have before any work begins; everything here is quick."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from promise.configs import RENAMED
from promise.models.paths import hashed_rows
from promise.pipeline.config import plain, require_values, trainings
from promise.pipeline.item_files import read_ids
from promise.pipeline.model_folder import description
from promise.pipeline.trainings import trains_reward
from promise.search.options import check_options, entries, is_number
from promise.tasks.negatives import KINDS, unshared

log = logging.getLogger(__name__)

Rule = Callable[[str, Any], object]

#: Exclusive upper end of seeds: scikit-learn takes no larger ones.
SEEDS = 2**32


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
        now = RENAMED.get(f"{name}={value}")
        hint = f": it is now {now}" if now else ""
        raise ValueError(f"{name} must be {', '.join(options[:-1])} or {options[-1]}, got {value}{hint}")


def truth(name: str, value: Any) -> None:
    """Raise ValueError unless the value is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value}")


def or_null(rule: Rule) -> Rule:
    """The rule for a value that may be null."""
    return lambda name, value: None if value is None else rule(name, value)


COUNT: Rule = partial(integer, least=1)
NATURAL: Rule = partial(integer, least=0)
POSITIVE: Rule = partial(number, allowed="> 0", holds=lambda value: value > 0)
NOT_NEGATIVE: Rule = partial(number, allowed=">= 0", holds=lambda value: value >= 0)
DECAY: Rule = or_null(partial(number, allowed="in (0, 1) or null", holds=lambda value: 0 < value < 1))
DROPOUT: Rule = partial(number, allowed="in [0, 1)", holds=lambda value: 0 <= value < 1)

#: Rules of the root config; a key that is not there is not checked.
ROOT: dict[str, Rule] = {
    "seed": NATURAL,
    "split": partial(one_of, options=("validation", "test")),
    "build": partial(one_of, options=("auto", "never")),
    "dry_run": truth,
    "retry_failed": truth,
    "evaluation.users": or_null(COUNT),
    "evaluation.remove_seen": truth,
    "evaluation.allow": or_null(read_ids),
    "evaluation.deny": or_null(read_ids),
    "evaluation.drift": truth,
    "evaluation.precision": partial(one_of, options=("32-true", "bf16-mixed")),
    "datamodule.history": COUNT,
    "datamodule.batch_size": COUNT,
    "datamodule.evaluation_batch_size": COUNT,
    "datamodule.workers": NATURAL,
}
COOCCURRENCE: dict[str, Rule] = {
    **dict.fromkeys(("neighbours", "text_neighbours"), NATURAL),
    "window": COUNT,
    **dict.fromkeys(("scale", "decay", "backward", "rarity", "text_weight"), NOT_NEGATIVE),
}
SELECTION: dict[str, Rule] = {
    "users": or_null(COUNT),
    "width": COUNT,
    "expansion": partial(number, allowed=">= 1", holds=lambda value: value >= 1),
}
NETWORK: dict[str, Rule] = {
    **dict.fromkeys(("dim", "encoder_layers", "decoder_layers", "blocks", "heads", "history"), COUNT),
    **dict.fromkeys(("item_vectors", "content"), truth),
    "attention": partial(one_of, options=("causal", "bidirectional")),
    "dropout": DROPOUT,
    "temperature": POSITIVE,
    "prefix_table": lambda name, value: hashed_rows(value),
}
TRAINING: dict[str, Rule] = {
    "softmax": partial(one_of, options=("allowed", "all")),
    "negatives": or_null(partial(one_of, options=KINDS)),
    "negative_count": or_null(COUNT),
    "reward_loss_weight": POSITIVE,
    "learning_rate": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup_steps": NATURAL,
    "epochs": COUNT,
    "patience": COUNT,
    "ema_decay": DECAY,
    "sparse_rows": or_null(COUNT),
}
LOGGER: dict[str, Rule] = {
    "mode": partial(one_of, options=("offline", "online")),
    "fallback": or_null(partial(one_of, options=("offline", "null"))),
    "artifacts": truth,
}


def check(cfg: DictConfig, multirun: bool = False) -> None:
    """Check the whole configuration of a verb.

    Args:
        cfg: The composed config.
        multirun: Whether several jobs run: Hydra's multirun, or the points of a sweep.

    Raises:
        ValueError: Naming the option as typed, what was expected and what came.
    """
    require_values(cfg)
    apply(ROOT, "", cfg)
    if cfg.seed >= SEEDS:
        raise ValueError(f"seed must be below {SEEDS}, got {cfg.seed}")
    apply(SELECTION, "checkpoint_selection", cfg.checkpoint_selection)
    apply(COOCCURRENCE, "cooccurrence", cfg.cooccurrence or {})
    check_options(plain(cfg.search))
    check_networks(cfg)
    reward: Any = get_class(cfg.reward["_target_"])
    for fit in trainings(cfg):
        apply(TRAINING, "training", fit)
        if fit.get("negatives") in KINDS[2:] and not reward.shares_negatives:
            raise ValueError(unshared(fit["negatives"]))
    apply(TRAINING, "sasrec.training", cfg.sasrec.training)
    check_logger(cfg)
    if cfg.analysis is not None:
        check_analysis(cfg)
    check_files(cfg)
    if multirun and str(cfg.trainer.strategy).startswith("ddp") and cfg.trainer.strategy != "ddp_spawn":
        raise ValueError(
            f"trainer.strategy={cfg.trainer.strategy} inside a multirun or sweep would train every process with other "
            "options: use trainer.strategy=ddp_spawn, or one torchrun per point (dry_run=true lists them)"
        )


def apply(rules: Mapping[str, Rule], group: str, values: Any) -> None:
    """Apply the rules of those keys that are there.

    Raises:
        ValueError: As `check`.
    """
    node = OmegaConf.create(values)
    for name, rule in rules.items():
        value = OmegaConf.select(node, name, default=values)
        if value is not values:
            rule(f"{group}.{name}".lstrip("."), value)


def check_files(cfg: DictConfig) -> None:
    """Check the files that are read and the one that is written.

    Raises:
        ValueError: As `check`.
    """
    if cfg.ids.path is not None and not Path(str(cfg.ids.path)).is_file():
        raise ValueError(f"ids.path={cfg.ids.path} is no file")
    if cfg.checkpoint is not None:
        description(Path(str(cfg.checkpoint)))
    if cfg.predictions is not None and not str(cfg.predictions).endswith(".parquet"):
        raise ValueError(f"predictions must name a .parquet file, got {cfg.predictions}")


def check_networks(cfg: DictConfig) -> None:
    """Check the sizes of the networks, and those that belong together.

    Raises:
        ValueError: As `check`.
    """
    for name in ("generator", "sasrec.network"):
        network = plain(OmegaConf.select(cfg, name))
        apply(NETWORK, name, network)
        if network.get("dim", 0) % network.get("heads", 1):
            raise ValueError(f"{name}.dim must be a multiple of {name}.heads={network['heads']}, got {network['dim']}")
    history = cfg.generator.get("history", cfg.datamodule.history)
    if history != cfg.datamodule.history:
        raise ValueError(f"generator.history must be datamodule.history={cfg.datamodule.history}, got {history}")
    apply(NETWORK, "reward", {name: value for name, value in plain(cfg.reward).items() if value is not None})


def check_logger(cfg: DictConfig) -> None:
    """Check W&B's options; where it can't work online, fall back if that was asked for.

    Raises:
        ValueError: If an option is wrong, or W&B has no key or can't be reached, and logger.fallback is null.
    """
    logger = cfg.logger
    if "mode" not in logger:
        return
    apply(LOGGER, "logger", logger)
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
    """The reason why W&B cannot work online, such as a missing key; None if it can. Nobody is prompted."""
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


def check_judge(cfg: DictConfig) -> None:
    """Check that a search which trusts a reward model will have one.

    Raises:
        ValueError: If only a generator would be trained.
    """
    weight = plain(cfg.search).get("weight", 0)
    if cfg.checkpoint is None and not any(map(trains_reward, trainings(cfg))) and any(entries(weight)):
        raise ValueError(
            f"search.weight={weight} needs a reward model and training=generator trains none: "
            "use search=plain, or search.weight=0"
        )


def check_analysis(cfg: DictConfig) -> None:
    """Check that the analysis is a known one and has two searches to compare.

    Raises:
        ValueError: If it is none, the search keeps no beams, or asks no reward, or an option means nothing to it.
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
