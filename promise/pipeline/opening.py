"""Opens in Python what a command opens: the checked config of its words, the artifacts behind it, its search."""

from collections.abc import Sequence

import hydra
from omegaconf import OmegaConf

from promise import configs
from promise.pipeline.checks import check, check_judge
from promise.pipeline.points import Point
from promise.pipeline.stages import Pipeline


def opened(words: Sequence[str] = ()) -> Point:
    """The search of `promise evaluate WORDS`, with its pipeline; what is missing is built when it is first asked for.

    Args:
        words: As on the command line, such as `["experiment=quickstart", "search.width=10"]`.

    Returns:
        The point: `.pipeline` has data, semantic IDs, trie and networks, `.result()` the row.

    Raises:
        ValueError: If a dial is wrong, as the verb would say.
        hydra.errors.HydraException: If Hydra cannot compose the words.
    """
    configs.register_search_path()
    with hydra.initialize_config_dir(configs.config_path(), version_base=configs.HYDRA_VERSION_BASE):
        cfg = hydra.compose("config", list(words), return_hydra_config=True)
    chosen = {str(group): str(option) for group, option in cfg.hydra.runtime.choices.items()}
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    check(cfg)
    check_judge(cfg)
    return Point(Pipeline(cfg), cfg.search, chosen)
