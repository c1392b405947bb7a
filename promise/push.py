"""`promise push`: shares a model folder with a card, as a folder or as a repository of the Hugging Face Hub."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import polars as pl
from omegaconf import DictConfig

from promise.analysis.report.model_card import card_rows, model_card
from promise.analysis.results import read_results, results_table
from promise.data.card import card_lines
from promise.data.tables import found_files
from promise.pipeline.config import plain
from promise.pipeline.model_folder import Model, description
from promise.pipeline.sharing import CARD, copied_whole, is_repository, upload
from promise.pipeline.verb import app
from promise.search.options import TRUTH, require

log = logging.getLogger(__name__)

#: A licence as the Hub writes it.
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def run(cfg: DictConfig) -> dict[str, Any]:
    """Check the model, write its card, and put both in their place."""
    options = plain(cfg)
    check(options)
    folder, to = Path(str(cfg.model)), str(cfg.to)
    model, described = Model.open(folder, "model"), description(folder, "model")
    rows = [] if cfg.rows is None else rows_of(model, str(cfg.rows))
    shared, repository = model.origin.get("dataset", {}), is_repository(to)
    columns = [column.name for column in model.items if column.count()]
    card = model_card(
        described,
        name=Path(to).name,
        place=to if repository else "FOLDER",
        license=cfg.license,
        rows=rows,
        dataset=cfg.dataset or shared.get("name"),
        data=known_of(model),
        columns=columns if model.counts is None else [*columns, "training events"],
    )
    log.info("%s: what is shared holds %s of all %d items", to, ", ".join(columns), len(model.items))
    if repository:
        place = upload(folder, card, to, cfg.private)
    else:
        with copied_whole(folder, Path(to).expanduser(), "to") as copy:
            (copy / CARD).write_text(card, "utf-8")
        place = to
    return {"verb": "push", "networks": described["networks"], "rows": len(rows), "paths": {"to": place}}


def check(options: dict[str, Any]) -> None:
    """Raise ValueError for what can be told before anything is read."""
    require("private", options["private"], TRUTH)
    if not LICENSE.fullmatch(str(options["license"])):
        raise ValueError(f"license must be an identifier such as apache-2.0 or other, got {options['license']}")


def rows_of(model: Model, pattern: str) -> list[dict[str, Any]]:
    """The evaluations of a model's networks among rows of any, as the card has them; ValueError if there are none."""
    tables = [table_of(path) for path in found_files("rows", pattern, None)]
    rows = [row for table in tables for row in table.to_dicts()]
    own = [row for row in rows if row.get("networks") == f"sha256:{model.fingerprint}" and row["data"] is not None]
    if not own:
        raise ValueError(
            f"rows={pattern}: none of {len(rows)} rows is of the networks {model.fingerprint} of the model"
        )
    return card_rows(results_table(own).to_dicts())


def table_of(path: Path) -> pl.DataFrame:
    """The rows of a `results.csv`, or the one of a `rows/HASH.json`; ValueError if it is neither."""
    if path.suffix == ".csv":
        return read_results(path)
    try:
        return results_table([json.loads(path.read_text("utf-8"))])
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        raise ValueError(f"rows: {path} is neither a results.csv nor a row of `promise evaluate`") from None


def known_of(model: Model) -> list[tuple[str, str]]:
    """The figures of the dataset card of the training; of a folder of an earlier version those of its catalogue."""
    if card := model.origin.get("dataset", {}).get("card"):
        return [(name, f"{card[name]:,}") for name in ("users", "items", "events", "texts")] + card_lines(card)
    return [("items", f"{len(model.items):,}")]


main = app(run, "push")
