"""`promise recommend`: the top items of any histories by a model folder alone, part by part into one file."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from promise.api import Recommender
from promise.data.given_histories import GivenHistories, read_histories
from promise.data.histories import pad_rows
from promise.data.tables import found_files
from promise.ids.progress import progress
from promise.pipeline.config import plain
from promise.pipeline.files import file_fingerprint, require_writable, written_whole
from promise.pipeline.item_files import LISTS, indices_of
from promise.pipeline.model_folder import DESCRIPTION, Model, digest
from promise.pipeline.predictions import SUFFIXES, write_table
from promise.pipeline.store import process_rank
from promise.pipeline.verb import app
from promise.search.options import COUNT, TRUTH, one_of, require
from promise.search.protocols import Ranker, UserRows

log = logging.getLogger(__name__)

#: Batches of a part: what is kept at once, and what a run that was stopped may do again.
PART = 16

#: Options that change where and by how many something is done, not the answer.
WHERE_AND_HOW = ("model", "histories", "out", "accelerator", "devices", "num_nodes")


def run(cfg: DictConfig) -> dict[str, Any]:
    """Read, search part by part, and put the parts together; a run that was stopped goes on after its last part.

    Of several processes each searches parts of its own, and the first one puts them together.
    """
    options, out = plain(cfg), Path(str(cfg.out))
    check(options, out)
    files = found_files("histories", str(cfg.histories), None)
    if out.exists() and any(out.samefile(file) for file in files):
        raise ValueError(f"out={out} is a file of histories={cfg.histories}, and would take its place")
    fabric = Fabric(accelerator=cfg.accelerator, devices=cfg.devices, num_nodes=cfg.num_nodes)
    if process_rank() > 0:
        logging.getLogger("promise").setLevel(logging.WARNING)  # the first process says it
    model = Model.open(str(cfg.model), "model")
    recommender, catalogue = Recommender(model, cfg.remove_seen, fabric.device), model.items["id"]
    named = {name: options[name] for name in LISTS if options[name] is not None}
    lists = {name: indices_of(name, path, catalogue) for name, path in named.items()}
    ranker = recommender.ranker(cfg.k, lists, **options["search"])
    usual = model.origin.get("dataset", {}).get("columns", {})
    histories = read_histories("histories", str(cfg.histories), catalogue, **options["data"], usual=usual)
    without = histories.users.filter(pl.Series(np.diff(histories.offsets) == 0))
    popular = fallback(cfg.fallback, cfg.k, model, lists, without) if len(without) else np.zeros(0, np.int64)
    if histories.unknown:
        unknown = (histories.unknown, histories.stranger)
        log.info("%d events of items that the model does not know are dropped, such as %r", *unknown)
    if len(without):
        log.info("%d users have no item that it knows: fallback=%s", len(without), cfg.fallback)

    contents = [file_fingerprint(path) for path in files]
    kept = {name: value for name, value in options.items() if name not in (*WHERE_AND_HOW, *LISTS)}
    key = [
        file_fingerprint(Path(str(cfg.model)) / DESCRIPTION),
        contents,
        kept,
        {n: v.tolist() for n, v in lists.items()},
    ]
    fabric.launch()  # starts the others, once this one has refused what is wrong
    folder, count = out.with_name(f".{out.name}-{digest(key)}"), cfg.batch_size * PART
    folder.mkdir(exist_ok=True)
    parts = {first: folder / f"{first:012d}.parquet" for first in range(0, len(histories.users), count)}
    own = list(parts.items())[fabric.global_rank :: fabric.world_size]
    began, searched = time.perf_counter(), 0
    sizes = [min(count, len(histories.users) - first) for first, _ in own]
    for first, path in progress(own, "recommending", sizes, "users") if fabric.is_global_zero else own:
        users = np.arange(first, min(first + count, len(histories.users)))
        if not path.exists():
            items, scores = ranked(ranker, histories, users, cfg.k, cfg.batch_size, fabric.device)
            if len(popular):
                empty = np.diff(histories.offsets)[users] == 0
                items[empty, : len(popular)] = popular
                scores[empty, : len(popular)] = popularity(model)[popular]
            with written_whole(path) as part:
                table(model, histories.users.gather(users), items, scores).write_parquet(part)
            searched += len(users)
    searched = int(cast(Tensor, fabric.all_reduce(torch.tensor(searched, device=fabric.device), reduce_op="sum")))
    seconds = time.perf_counter() - began
    if fabric.is_global_zero:
        write_table(pl.scan_parquet(list(parts.values()), glob=False), out)
        shutil.rmtree(folder)
    return {
        "verb": "recommend",
        "users": len(histories.users),
        "k": cfg.k,
        "dropped_events": histories.unknown,
        "fallback_users": len(without),
        "seconds": seconds,
        "users_per_second": searched / seconds if searched else None,
        "paths": {"out": str(out)},
    }


def check(options: dict[str, Any], out: Path) -> None:
    """Raise ValueError for what can be told before anything is read."""
    for name in ("k", "batch_size", "devices", "num_nodes"):
        require(name, options[name], COUNT)
    require("remove_seen", options["remove_seen"], TRUTH)
    require("data.header", options["data"]["header"], TRUTH)
    require("accelerator", options["accelerator"], one_of("cpu", "gpu", "auto"))
    require("fallback", options["fallback"], one_of("popularity", "skip", "error"))
    if out.suffix not in SUFFIXES:
        raise ValueError(f"out must name a {', '.join(SUFFIXES)} file, got {out}")
    if not out.parent.is_dir():
        raise ValueError(f"out={out}: there is no folder {out.parent}")
    if out.is_dir():
        raise ValueError(f"out={out} is a folder")
    require_writable("out", out, out.parent)


def popularity(model: Model) -> NDArray[np.int64]:
    """(I,) training events of every item."""
    if model.counts is None:
        raise ValueError(f"fallback=popularity: {model.weights.parent} holds no counts of items: use fallback=skip")
    return model.counts.to_numpy()


def fallback(
    kind: str, k: int, model: Model, lists: dict[str, NDArray[np.int64]], users: pl.Series
) -> NDArray[np.int64]:
    """The items (n,), n <= k, of users without any that the model knows; none where they are skipped, or ValueError."""
    if kind == "error":
        raise ValueError(f"fallback=error: {len(users)} users have no item that the model knows, first {users[0]!r}")
    if kind == "skip":
        return np.zeros(0, np.int64)
    order = np.argsort(-popularity(model), kind="stable")
    order = order[np.isin(order, lists["allow"])] if "allow" in lists else order
    return order[~np.isin(order, lists["deny"])][:k] if "deny" in lists else order[:k]


def ranked(
    ranker: Ranker, histories: GivenHistories, users: NDArray[np.int64], k: int, size: int, device: torch.device
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Items (n, k), -1 = none, and scores (n, k) of users (n,); none of those without a history.

    Users of like lengths are searched together, `size` at once.
    """
    items, scores = np.full((len(users), k), -1), np.zeros((len(users), k), np.float32)
    starts, lengths = histories.offsets[users], np.diff(histories.offsets)[users]
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    for rows in (order[first : first + size] for first in range(0, len(order), size)):
        history = pad_rows(histories.items, starts[rows], lengths[rows])
        batch = UserRows(torch.from_numpy(history).to(device), torch.from_numpy(lengths[rows]).to(device))
        found = ranker.rank(batch, k)
        width = found.items.shape[1]
        items[rows, :width], scores[rows, :width] = found.items.cpu().numpy(), found.scores.cpu().numpy()
    return items, scores


def table(model: Model, users: pl.Series, items: NDArray[np.int64], scores: NDArray[np.float32]) -> pl.DataFrame:
    """The rows of some users: user, rank from 1 on, item, score and, where the model has titles, title."""
    row, column = np.nonzero(items >= 0)
    listed, titles = items[row, column], model.items["title"]
    columns = {"user": users.gather(row), "rank": column + 1, "item": model.items["id"].gather(listed)}
    columns |= {"score": scores[row, column]} | ({"title": titles.gather(listed)} if titles.count() else {})
    return pl.DataFrame(columns)


main = app(run, "recommend")
