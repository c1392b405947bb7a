"""`promise pull`: fetches a shared model folder, and sees that it is whole and loads before it appears."""

import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from promise.api import Recommender
from promise.pipeline.config import plain
from promise.pipeline.model_folder import description
from promise.pipeline.sharing import CARD, copied_whole, download, foreign_classes, is_repository
from promise.pipeline.verb import app
from promise.search.options import TRUTH, require


def run(cfg: DictConfig) -> dict[str, Any]:
    """Fetch, check, load, and copy."""
    options = plain(cfg)
    require("foreign_code", options["foreign_code"], TRUTH)
    place, out = str(options["from"]), Path(str(cfg.out)).expanduser()
    source = download(place) if is_repository(place) else Path(place).expanduser()
    described = description(source, "from")
    if not cfg.foreign_code and (strange := foreign_classes(described)):
        raise ValueError(f"from={place} runs {', '.join(strange)}, no part of promise: foreign_code=true lets it")
    model = Recommender.load(source).model
    _ = model.networks
    with copied_whole(source, out, "out") as copy:
        if (source / CARD).is_file():
            shutil.copyfile(source / CARD, copy / CARD)
    return {"verb": "pull", "networks": described["networks"], "items": len(model.items), "paths": {"model": str(out)}}


main = app(run, "pull")
