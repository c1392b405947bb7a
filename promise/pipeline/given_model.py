"""A config and a given model: what the user chose must not contradict the model, all else is the model's."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from promise import configs
from promise.ids.semantic_ids import SemanticIds
from promise.pipeline.config import flat
from promise.pipeline.model_folder import Model

log = logging.getLogger(__name__)

#: Options of networks that act in a search alone: they may differ from those of the training.
OF_THE_SEARCH = ("cooccurrence.scale",)


def adopted(cfg: DictConfig, model: Model) -> DictConfig:
    """The root config with the networks of the model that its `checkpoint` names.

    An option counts as chosen if it was typed, or differs from the root config's.

    Raises:
        ValueError: If a chosen option contradicts the model; the option and both values are named.
    """
    place, usual, names = f"checkpoint={cfg.checkpoint}", configs.compose(), typed()
    changed = copy.deepcopy(cfg)
    for group, theirs in {**model.config, **model.origin["config"]}.items():
        ours, of_model, default = (values_of(group, node) for node in (cfg.get(group), theirs, usual.get(group)))
        if theirs is None:
            if group in names:
                raise ValueError(f"{place} has no {group}, the config says {group}={names[group]}")
            continue
        for name in sorted(ours.keys() | of_model.keys()):
            value, own = ours.get(name), of_model.get(name, default.get(name))  # a model may be older than an option
            chosen = value != default.get(name) or any(name == word or name.startswith(f"{word}.") for word in names)
            if name in OF_THE_SEARCH:
                if chosen and name in ours:
                    theirs = {**theirs, name.rpartition(".")[2]: value}
            elif chosen and value != own:
                raise ValueError(f"{place} has {name}={own}, the config says {value}: leave out what sets that")
        if group in model.config:
            with open_dict(changed):
                changed[group] = theirs
    if cfg.ids.path is not None and SemanticIds.load(cfg.ids.path).fingerprint != model.inputs.ids.fingerprint:
        raise ValueError(f"{place} has other semantic IDs than ids.path={cfg.ids.path}: leave that out")
    return changed


def require_its_data(cfg: DictConfig, model: Model, fingerprint: str) -> None:
    """Warn of data other than those that a model was trained on; ValueError if they are the root config's own.

    Args:
        cfg: The root config of a point.
        model: The model that its `checkpoint` names.
        fingerprint: Of its data.
    """
    if fingerprint == model.origin["data"]:
        return
    place, theirs = f"checkpoint={cfg.checkpoint}", model.origin.get("dataset", {}).get("name")
    usual = configs.defaults(configs.root() / "conf" / "config.yaml")["data"]
    chosen = cfg.data != configs.compose().data or any(name.partition(".")[0] == "data" for name in typed())
    if HydraConfig.initialized() and theirs not in (None, usual) and not chosen:
        raise ValueError(f"{place} was trained on data={theirs}, this run has data={usual}: type the data, too")
    log.warning("%s was trained on other data than these, whose items it knows by their ids", place)


def typed() -> dict[str, str]:
    """The options on the command line of this process, by name; none outside a verb."""
    if not HydraConfig.initialized():
        return {}
    words = (word.lstrip("+~").partition("=") for word in HydraConfig.get().overrides.task)
    return {name: value for name, _, value in words}


def values_of(group: str, node: Any) -> dict[str, Any]:
    """The values of a group by their dotted names, but for paths; those of no group are none."""
    values: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return flat(without_paths(values or {}), f"{group}.")


def without_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """A group's values without the places of files, which say nothing of their contents."""
    inner = {name: without_paths(each) if isinstance(each, dict) else each for name, each in values.items()}
    return {name: value for name, value in inner.items() if not name.endswith("path")}
