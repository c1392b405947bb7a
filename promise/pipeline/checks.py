"""What a configuration must hold before any work begins; everything here is quick."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from promise.pipeline.config import fits, plain
from promise.search.dials import check_dials


def check(cfg: DictConfig, multirun: bool = False) -> None:
    """Check the whole configuration of a verb.

    Args:
        cfg: The composed config.
        multirun: Whether Hydra runs several jobs.

    Raises:
        ValueError: Naming the dial as typed, what was expected and what came.
    """
    integer("seed", cfg.seed, least=0)
    one_of("split", cfg.split, ("validation", "test"))
    one_of("build", cfg.build, ("auto", "never"))
    one_of("evaluation.seen", cfg.evaluation.seen, ("keep", "remove"))
    one_of("evaluation.precision", cfg.evaluation.precision, ("32-true", "bf16-mixed"))
    for name in ("evaluation.users", "selection.users"):
        if (users := OmegaConf.select(cfg, name)) is not None:
            integer(name, users, least=1)
    for name in ("selection.width", "datamodule.history", "datamodule.batch_size"):
        integer(name, OmegaConf.select(cfg, name), least=1)
    integer("datamodule.evaluation_batch_size", cfg.datamodule.evaluation_batch_size, least=1)
    check_dials({"width": cfg.selection.width, "expansion": cfg.selection.expansion})
    check_dials(plain(cfg.search))
    check_networks(cfg)
    for name in ("checkpoint", "ids.path"):
        if (path := OmegaConf.select(cfg, name)) is not None and not Path(path).is_file():
            raise ValueError(f"{name}={path} is no file")
    if cfg.predictions is not None and not str(cfg.predictions).endswith(".parquet"):
        raise ValueError(f"predictions must name a .parquet file, got {cfg.predictions}")
    if multirun and str(cfg.trainer.strategy).startswith("ddp") and cfg.trainer.strategy != "ddp_spawn":
        raise ValueError(
            f"trainer.strategy={cfg.trainer.strategy} inside a multirun would train every process with other dials: "
            "use trainer.strategy=ddp_spawn, or one torchrun per point"
        )


def check_networks(cfg: DictConfig) -> None:
    """Check what only shows when networks are built or trained, and would come late then.

    Raises:
        ValueError: As `check`.
    """
    generator = cfg.generator
    for name in ("dim", "encoder_layers", "decoder_layers", "heads", "history"):
        integer(f"generator.{name}", generator[name], least=1)
    if generator.dim % generator.heads:
        raise ValueError(f"generator.dim must be a multiple of generator.heads={generator.heads}, got {generator.dim}")
    one_of("generator.attention", generator.attention, ("causal", "bidirectional"))
    for name in ("generator.dropout", "reward.dropout"):
        dropout = OmegaConf.select(cfg, name)
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ValueError(f"{name} must be a number in [0, 1), got {dropout}")
    for fit in fits(cfg):
        if fit.get("negatives") == "exact" and "CrossAttention" in cfg.reward["_target_"]:
            raise ValueError("training.negatives=exact needs reward=dot, got reward=cross_attention")
        one_of("training.softmax", fit.get("softmax", "all"), ("allowed", "all"))
        one_of("training.negatives", fit.get("negatives", "sampled"), ("sampled", "exact"))
        integer("training.epochs", fit["epochs"], least=1)
        integer("training.patience", fit["patience"], least=1)


def integer(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless the value is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value}")


def one_of(name: str, value: Any, options: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is one of the options."""
    if value not in options:
        raise ValueError(f"{name} must be {' or '.join(options)}, got {value}")
