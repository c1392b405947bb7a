"""From config nodes to plain values and to the objects that they describe."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf


def fits(cfg: DictConfig) -> list[dict[str, Any]]:
    """The trainings that make the networks, in order: one, or generator and reward when staged."""
    training = plain(cfg.training)
    return [training] if "_target_" in training else list(training.values())


def plain(node: Any) -> dict[str, Any]:
    """A config node as a resolved dictionary.

    Raises:
        ValueError: If a mandatory value (`???`) is missing; it is named.
    """
    if missing := OmegaConf.missing_keys(node):
        parent = node._get_full_key(None)
        names = ", ".join(f"{parent}.{name}" if parent else name for name in sorted(missing))
        raise ValueError(f"{names} must be given")
    container = OmegaConf.to_container(node, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def make(node: Any, **run_time: Any) -> Any:
    """The object of a node's `_target_`, given the run-time objects that no config can hold.

    Args:
        node: A config node or dictionary with a `_target_`.
        run_time: Passed on as they are (Hydra would turn a dataclass into a config).
    """
    return instantiate(node, _partial_=True, _convert_="all")(**run_time)
