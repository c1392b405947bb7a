"""`promise append`: a model folder with new items in its catalogue, placed by their texts; nothing is trained."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from promise.data.sources.table import Table
from promise.pipeline.config import plain
from promise.pipeline.files import require_writable
from promise.pipeline.model_folder import Model
from promise.pipeline.networks import WEIGHTS
from promise.pipeline.new_items import described_by_words, unknown_items, with_new_items
from promise.pipeline.verb import app
from promise.search.options import TRUTH, require

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, Any]:
    """Read the items, place those that are new, and write the model with them; it appears whole."""
    options, out = plain(cfg), Path(str(cfg.out)).expanduser()
    require("data.header", options["data"]["header"], TRUTH)
    if out.exists():
        raise ValueError(f"out={out} is there already: name a folder that is not there")
    require_writable("out", out, out.parent)
    model = Model.open(str(cfg.model), "model")
    items = Table(events="", root=None, **options["data"]).items()
    assert items is not None
    new = unknown_items(model, items)
    if new.is_empty():
        raise ValueError(f"data.items={options['data']['items']}: the model has all {len(items)} items already")
    added, vectors = described_by_words(model, new)
    if len(added) < len(new):
        log.warning("%d new items are left out: no other item has a word of theirs", len(new) - len(added))
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as part:
        try:
            grown = with_new_items(model, added, vectors, Path(part) / WEIGHTS)
        except NotImplementedError as error:
            raise ValueError(f"model={cfg.model}: {error}") from None
        folder = grown.save(Path(part))
        _ = Model.open(folder).networks  # it loads
        networks = grown.fingerprint
        folder.rename(out)
    return {
        "verb": "append",
        "networks": networks,
        "items": len(grown.items),
        "added": len(added),
        "known": len(items) - len(new),
        "left_out": len(new) - len(added),
        "paths": {"model": str(out)},
    }


main = app(run, "append")
