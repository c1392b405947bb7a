"""Values that a configuration must have before any work begins; everything here is quick."""

import inspect
import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from promise.ids.collisions import POLICIES
from promise.models.paths import hashed_rows
from promise.pipeline.config import called_by, check_call, parameters_of, plain, require_values, trainings
from promise.pipeline.item_files import LISTS, read_ids
from promise.pipeline.model_folder import description
from promise.pipeline.trainings import trains_reward
from promise.search import options
from promise.tasks.negatives import KINDS, unshared

log = logging.getLogger(__name__)

#: Exclusive upper end of seeds: scikit-learn takes no larger ones.
SEEDS = 2**32

#: Group of the config ("" = the root) -> rules of its keys; a key that is not there is not checked.
RULES: dict[str, dict[str, options.Rule]] = {
    "": {
        "seed": options.NATURAL,
        "split": options.one_of("validation", "test"),
        "build": options.one_of("auto", "never"),
        "ids.collisions": options.one_of(*POLICIES),
        **dict.fromkeys(("dry_run", "retry_failed", "evaluation.remove_seen"), options.TRUTH),
        "evaluation.users": options.or_null(options.COUNT),
        "evaluation.precision": options.one_of("32-true", "bf16-mixed"),
        **dict.fromkeys(
            (f"datamodule.{name}" for name in ("history", "batch_size", "evaluation_batch_size")), options.COUNT
        ),
        "datamodule.workers": options.NATURAL,
        "checkpoint_selection.users": options.or_null(options.COUNT),
        "checkpoint_selection.width": options.COUNT,
        "checkpoint_selection.expansion": options.AT_LEAST_ONE,
    },
    "cooccurrence": {
        **dict.fromkeys(("neighbours", "text_neighbours"), options.NATURAL),
        "window": options.COUNT,
        **dict.fromkeys(("scale", "decay", "backward", "rarity", "text_weight"), options.NOT_NEGATIVE),
    },
    "logger": {
        "mode": options.one_of("offline", "online"),
        "fallback": options.or_null(options.one_of("offline", "null")),
        "artifacts": options.TRUTH,
    },
}
NETWORK: dict[str, options.Rule] = {
    **dict.fromkeys(("dim", "encoder_layers", "decoder_layers", "blocks", "heads", "history"), options.COUNT),
    **dict.fromkeys(("item_vectors", "content", "user_state"), options.TRUTH),
    "attention": options.one_of("causal", "bidirectional"),
    "dropout": options.number("in [0, 1)", lambda value: 0 <= value < 1),
    "temperature": options.POSITIVE,
}
TRAINING: dict[str, options.Rule] = {
    "softmax": options.one_of("allowed", "all"),
    "negatives": options.or_null(options.one_of(*KINDS)),
    **dict.fromkeys(("negative_count", "sparse_rows"), options.or_null(options.COUNT)),
    **dict.fromkeys(("reward_loss_weight", "learning_rate"), options.POSITIVE),
    "weight_decay": options.NOT_NEGATIVE,
    "warmup_steps": options.NATURAL,
    **dict.fromkeys(("epochs", "patience"), options.COUNT),
    "ema_decay": options.or_null(options.number("in (0, 1) or null", lambda value: 0 < value < 1)),
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
    check_parameters(cfg)
    for group, rules in RULES.items():
        apply(rules, group, (cfg[group] or {}) if group else cfg)
    if cfg.seed >= SEEDS:
        raise ValueError(f"seed must be below {SEEDS}, got {cfg.seed}")
    if str(cfg.search["_target_"]).startswith("promise."):  # rankers from outside have options of their own
        options.check_options(plain(cfg.search))
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


def check_parameters(cfg: DictConfig) -> None:
    """Raise ValueError for keys that a part does not take or lacks, or a class that does not define what it must."""
    for group in ("embeddings", "ids", "generator", "reward", "search"):
        target = cfg[group]["_target_"]
        found = inspect.signature(called_by(target)).parameters.values()
        run_time = {parameter.name for parameter in found if parameter.kind is parameter.KEYWORD_ONLY}
        check_call(target, {*cfg[group], *run_time})
        own = {"_target_", *(("path", "collisions") if group == "ids" else ())}
        strange = sorted(f"{group}.{key}" for key in cfg[group].keys() - own - parameters_of(target))
        if strange and all(parameter.kind is not parameter.VAR_KEYWORD for parameter in found):
            names = ", ".join(strange)
            raise ValueError(
                f"{target} takes no {names}: the experiment or command that sets it is for another {group}"
            )


def apply(rules: Mapping[str, options.Rule], group: str, values: Any) -> None:
    """Apply the rules of those keys that are there."""
    node = OmegaConf.create(values)
    for name, rule in rules.items():
        value = OmegaConf.select(node, name, default=values)
        if value is not values:
            options.require(f"{group}.{name}".lstrip("."), value, rule)


def check_files(cfg: DictConfig) -> None:
    """Check the files that are read and the one that is written."""
    for name in LISTS:
        if (path := cfg.evaluation[name]) is not None:
            read_ids(f"evaluation.{name}", path)
    if cfg.ids.path is not None and not Path(str(cfg.ids.path)).is_file():
        raise ValueError(f"ids.path={cfg.ids.path} is no file")
    if cfg.checkpoint is not None:
        description(Path(str(cfg.checkpoint)))
    if cfg.predictions is not None and not str(cfg.predictions).endswith((".parquet", ".jsonl")):
        raise ValueError(f"predictions must name a .parquet or .jsonl file, got {cfg.predictions}")


def check_networks(cfg: DictConfig) -> None:
    """Check the sizes of the networks, and those that belong together."""
    for name in ("generator", "sasrec.network"):
        network = plain(OmegaConf.select(cfg, name))
        apply(NETWORK, name, network)
        if network.get("dim", 0) % network.get("heads", 1):
            raise ValueError(f"{name}.dim must be a multiple of {name}.heads={network['heads']}, got {network['dim']}")
    history = cfg.generator.get("history", cfg.datamodule.history)
    if history != cfg.datamodule.history:
        raise ValueError(f"generator.history must be datamodule.history={cfg.datamodule.history}, got {history}")
    reward = plain(cfg.reward)
    apply(NETWORK, "reward", {name: value for name, value in reward.items() if value is not None})
    hashed_rows(reward.get("prefix_table", "none"))


def check_logger(cfg: DictConfig) -> None:
    """Raise ValueError if W&B can't work online but should, or fall back if that was asked for."""
    logger = cfg.logger
    if logger.get("mode", "offline") == "offline" or (why := why_not_online()) is None:
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
    """Raise ValueError if a search trusts a reward model, and only a generator would be trained."""
    search: Any = get_class(cfg.search["_target_"])
    given = plain(cfg.search).get("weight")
    weight = getattr(search, "weight", 0) if given is None else given  # a ranker's own λ is no option
    if cfg.checkpoint is None and not any(map(trains_reward, trainings(cfg))) and any(options.entries(weight)):
        what, instead = search.__name__, "search=plain"
        if given is not None:
            what, instead = f"search.weight={given}", f"{instead}, or search.weight=0"
        raise ValueError(f"{what} needs a reward model and training=generator trains none: use {instead}")


def check_analysis(cfg: DictConfig) -> None:
    """Raise ValueError if the analysis is none, its search keeps no beams or asks no reward, or an option is idle."""
    if cfg.analysis != "drift":
        raise ValueError(f"analysis must be drift or null, got {cfg.analysis}")
    search = plain(cfg.search)
    if not get_class(search["_target_"]).beam_options:  # type: ignore[attr-defined]
        raise ValueError(f"analysis=drift needs search=guided or search=orm, got {search['_target_']}")
    if not any(options.entries(search["weight"])):
        raise ValueError("analysis=drift compares guided search with a plain beam: it needs search.weight > 0, got 0")
    if cfg.predictions is not None:
        raise ValueError("analysis=drift writes no predictions: ask for one of them at a time")
