"""The whole test set, simulated and from files."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from promise.bench import beauty
from promise.bench.worlds import Sizes, sizes


def test_simulated_histories_are_as_long_as_real_ones(quick: DictConfig) -> None:
    s = Sizes(items=300, dim=16, heads=2, layers=1, test_generator="tiny", test_users=5000)
    _, batches, _ = beauty.simulated(quick, s)
    lengths = torch.cat([batch.lengths for batch in batches])
    assert len(lengths) == 5000 and lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    assert int(lengths.min()) == 4 and int(lengths.max()) == s.history and 7 < lengths.float().mean() < 9
    assert all(batch.history.shape[1] == int(batch.lengths.max()) for batch in batches)


@pytest.mark.filterwarnings("ignore:ids.codes")
def test_the_files_of_beauty(quick: DictConfig, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [" ".join(map(str, [user, *random.choice(40, 8, replace=False)])) for user in range(30)]
    (tmp_path / "Beauty.txt").write_text("\n".join(lines) + "\n")
    with gzip.open(tmp_path / "items.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"id": item, "text": f"kind{item % 4} thing{item}"}) + "\n" for item in range(40))
    quick.bench.root, quick.store = str(tmp_path), str(tmp_path / "store")
    (found,) = beauty.beauty(quick)
    assert found.note.startswith("30 users, Amazon Beauty, untrained; W=4")
    quick.bench.checkpoint = str(tmp_path / "Beauty.txt")
    with pytest.raises(ValueError, match="is a file: it must name a model folder"):
        beauty.real(quick, sizes(quick))
