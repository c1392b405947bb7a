"""`promise score FILE`: anybody's lists beside the leaderboard, user by user, past items kept and removed."""

import logging
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import promise
from promise import configs
from promise.analysis.report.headline import COMPARED, SEEN
from promise.analysis.report.results_md import short
from promise.metrics.intervals import Interval
from promise.pipeline.files import require_writable
from promise.pipeline.leaderboard import SHOWN, Standing, cells, ordered, place_of, read_standings
from promise.pipeline.model_folder import digest
from promise.pipeline.overrides import placeless
from promise.pipeline.points import DEEP, Point
from promise.pipeline.ranker_inputs import read_lists, targets_of
from promise.pipeline.stages import Pipeline
from promise.pipeline.verb import app, choices, show

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Rank in both ways, compare with every method on the leaderboard, and write the ranks if they are to join it."""
    folder = Path(cfg.score.leaderboard or configs.root() / "sweeps" / "leaderboard")
    check(cfg, folder)
    pipeline = Pipeline(cfg)
    pipeline.check_inputs()
    pipeline.cfg.build = "never"  # nothing is trained to be scored
    about = described(pipeline)
    others = compared(folder / place_of(about), about)
    own = measured(pipeline, about)
    name, users = own.about["method"], len(own.ranks[SEEN[0]])
    for seen in SEEN:
        treated = "kept" if seen == "keep" else "removed"
        title = f"{own.about['data']}, {cfg.split} targets of {users:,} users, past items {treated} (95 % intervals)"
        rows = [[name, *cells(own, seen, None)]]
        rows += [[each.about["method"], *cells(each, seen, (own, each))] for each in ordered(others, seen)]
        show(title, ["", *map(short, SHOWN), *(f"{short(each)}: {name} − it" for each in COMPARED)], rows)
    return {
        "verb": "score",
        "users": users,
        **{name: own.about[name] for name in ("data", "split", "seed", "lengths", "incomplete_users")},
        "metrics": {seen: {each: ends(own.interval(seen, each)) for each in SHOWN} for seen in SEEN},
        "differences": {
            seen: {
                each.about["method"]: {which: ends(own.difference(each, seen, which)) for which in COMPARED}
                for each in others
            }
            for seen in SEEN
        },
        "trained": pipeline.built,
        "paths": {} if cfg.score.add is None else {"ranks": str(own.write(folder))},
    }


def check(cfg: DictConfig, folder: Path) -> None:
    """Raise ValueError for what can be told before anything is read."""
    for name in ("evaluation.users", "evaluation.allow", "evaluation.deny", "predictions", "analysis"):
        if (value := OmegaConf.select(cfg, name)) is not None:
            raise ValueError(f"{name} must be null: promise score measures whole lists of all users, got {value}")
    if cfg.score.add is not None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", str(cfg.score.add)):
            raise ValueError(f"score.add must be a name of a-z, 0-9, _, - and dots, got {cfg.score.add}")
        if missing := [f"score.{name}" for name in ("recipe", "source") if not cfg.score[name]]:
            raise ValueError(f"score.add={cfg.score.add} needs {' and '.join(missing)}")
        require_writable("score.leaderboard", folder, folder)


def described(pipeline: Pipeline) -> dict[str, Any]:
    """What is known of a standing before anything is ranked."""
    cfg = pipeline.cfg
    words = placeless([*HydraConfig.get().overrides.task, f"split={cfg.split}", f"seed={cfg.seed}"])
    rule = cfg.data.get("split", "last_out")
    return {
        "method": str(cfg.score.add or choices()["search"]),
        "data": choices()["data"] if rule == "last_out" else f"{choices()['data']}_{rule}",
        "split": cfg.split,
        "targets": digest(targets_of(pipeline).to_dict(as_series=False)),
        "seed": cfg.seed,
        "recipe": cfg.score.recipe,
        "source": cfg.score.source,
        "command": shlex.join(["promise", "score", *words.values()]),
        "promise": promise.__version__,
    }


def compared(folder: Path, about: Mapping[str, Any]) -> list[Standing]:
    """The methods of the leaderboard, by the same data and split; ValueError if one is of other targets, or changed."""
    found = read_standings(folder)
    if not found:
        log.info("%s has no ranks to compare with", folder)
    for each in found:
        if each.about["targets"] != about["targets"]:
            raise ValueError(
                f"{folder}: {each.about['method']} is of other users or targets ({each.about['targets']}) than the "
                f"data ({about['targets']}), another version of them: score.leaderboard=FOLDER takes other ranks"
            )
    return found


def measured(pipeline: Pipeline, about: Mapping[str, Any]) -> Standing:
    """The ranks of the config's search for all users, past items kept and removed."""
    cfg, search = pipeline.cfg, pipeline.cfg.search
    ranks, lengths, incomplete = {}, {}, {}
    for seen, removed in zip(SEEN, (False, True), strict=True):
        cfg.evaluation.remove_seen = removed
        if "file" in search:  # lists count as long as they are
            lists = read_lists(pipeline, str(search.file), removed)
            search.width = max(1, min(int(np.diff(lists.offsets).max()), max(DEEP)))
        point = Point(pipeline, search, choices())
        result, _ = point.result()
        lengths[seen], incomplete[seen] = min(point.width, max(DEEP)), result.row["incomplete_users"]
        ranks[seen] = np.where(result.ranks < lengths[seen], result.ranks + 1, 0).astype(np.uint16)
    return Standing(ranks, {**about, "lengths": lengths, "incomplete_users": incomplete})


def ends(interval: Interval | None) -> list[float] | None:
    """Mean and both ends of an interval, JSON-able."""
    return None if interval is None else [interval.mean, interval.low, interval.high]


main = app(run)
