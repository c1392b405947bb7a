"""The whole test set, from files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from promise.bench import beauty
from promise.bench.measure import Skipped
from promise.bench.worlds import sizes


@pytest.mark.filterwarnings("ignore:ids.codes")
def test_the_files_of_beauty(quick: DictConfig, tmp_path: Path) -> None:
    with pytest.raises(Skipped, match=r"^needs bench\.root$"):
        next(beauty.beauty(quick))
    random = np.random.default_rng(0)
    lines = [" ".join(map(str, [user, *random.choice(40, 8, replace=False)])) for user in range(30)]
    (tmp_path / "Beauty.txt").write_text("\n".join(lines) + "\n")
    with gzip.open(tmp_path / "items.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"id": item, "text": f"kind{item % 4} thing{item}"}) + "\n" for item in range(40))
    quick.bench.root, quick.store = str(tmp_path), str(tmp_path / "store")
    (found,) = beauty.beauty(quick)
    assert found.note.startswith("30 users, untrained; W=4")
    quick.bench.checkpoint = str(tmp_path / "Beauty.txt")
    with pytest.raises(ValueError, match="is a file: it must name a model folder"):
        beauty.opened(quick, sizes(quick))
