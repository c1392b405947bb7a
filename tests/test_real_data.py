"""The published counts and floors of Amazon Beauty, read in place; skipped where the data are not there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

Run = Callable[..., Any]
BEAUTY = Path(__file__).resolve().parents[2] / "shared" / "data" / "amazon_beauty"

pytestmark = pytest.mark.skipif(not BEAUTY.is_dir(), reason="../shared/data/amazon_beauty is not there")


@pytest.fixture(scope="module")
def beauty(run_bare: Run, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Evaluate a baseline on Beauty; everything lies in one store."""
    store = tmp_path_factory.mktemp("beauty")

    def evaluate(*words: str) -> Any:
        root = f"data.root={BEAUTY}"
        return run_bare("evaluate", "data=amazon_beauty", root, "logger=csv", f"store={store}", "split=test", *words)

    return evaluate


def test_counts(beauty: Callable[..., Any]) -> None:
    answer = beauty("search=popularity")
    assert answer.json["trained"] == ["data"]  # a baseline needs neither IDs nor networks
    folder = next(Path(answer.json["paths"]["row"]).parents[1].glob("artifacts/data-*"))
    facts = json.loads((folder / "manifest.json").read_text())
    wanted = {"users": 22_363, "items": 12_101, "interactions": 198_502, "dropped_users": 0, "texts": 12_101}
    assert {name: facts[name] for name in wanted} == wanted


@pytest.mark.parametrize(("seen", "low", "high"), [("keep", 0.0109, 0.0118), ("remove", 0.0111, 0.0119)])
def test_popularity(beauty: Callable[..., Any], seen: str, low: float, high: float) -> None:
    said = beauty("search=popularity", f"evaluation.remove_seen={str(seen == 'remove').lower()}").json
    assert said["users"] == 22_363
    assert low < said["metrics"]["recall@10"] < high
    assert said["metrics"] == said["baselines"]["popularity"]


@pytest.mark.parametrize(("seen", "published"), [("keep", (0.0641, 0.0382)), ("remove", (0.0695, 0.0439))])
def test_co_visit_with_the_last_five_items(beauty, seen, published):
    dials = ("search.window=3", "search.recent=5", "search.decay=1", "search.backward=1", "search.rarity=0.5")
    said = beauty("search=co_visit", *dials, f"evaluation.remove_seen={str(seen == 'remove').lower()}").json
    assert (said["metrics"]["recall@10"], said["metrics"]["ndcg@10"]) == pytest.approx(published, rel=0.05)


def test_predictions_bear_the_file_s_own_ids(beauty: Callable[..., Any], tmp_path: Path) -> None:
    said = beauty("search=co_visit", "evaluation.users=500", f"predictions={tmp_path / 'p.parquet'}").json
    with open(BEAUTY / "Beauty.txt") as file:
        last = {user: int(items[-1]) for user, *items in map(str.split, file)}
    table = pl.read_parquet(tmp_path / "p.parquet")
    assert len(table) == 500
    assert all(last[user] == target for user, target in table.select("user", "target").iter_rows())
    hits = sum(target in items[:10] for target, items in table.select("target", "items").iter_rows())
    assert said["metrics"]["recall@10"] == pytest.approx(hits / 500)
