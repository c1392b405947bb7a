"""What rankers are offered: only what they ask for, and nothing is built for those who don't."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from promise.pipeline.ranker_inputs import fingerprints, ranker_inputs
from promise.pipeline.stages import Pipeline

PipelineOf = Callable[..., Any]


def test_nobody_gets_what_he_does_not_ask_for(pipeline_of: PipelineOf, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("networks", "sasrec_artifact", "ids", "model"):
        monkeypatch.setattr(Pipeline, name, property(lambda self: pytest.fail("built for nothing")))
    pipeline = pipeline_of("evaluation.remove_seen=true", "seed=3")
    makers = ranker_inputs(pipeline)
    found = {name: makers[name]() for name in ("training", "item_count", "remove_seen", "seed")}
    items, offsets = found.pop("training")
    assert found == {"item_count": 40, "remove_seen": True, "seed": 3}
    assert len(items) == offsets[-1] and len(offsets) == 61
    assert fingerprints(pipeline, {"training"}) == {}


def test_words_of_the_texts(pipeline_of: PipelineOf) -> None:
    words = ranker_inputs(pipeline_of())["words"]()
    assert words.shape[0] == 40
    likeness = (words @ words.T).toarray()
    np.testing.assert_allclose(likeness.diagonal(), 1, atol=1e-6)
    # Items 0 and 28 are of one kind and share a word, 0 and 4 the kind alone, 0 and 1 nothing.
    assert likeness[0, 28] > likeness[0, 4] > likeness[0, 1] == 0


def test_no_texts_are_told(run: Any) -> None:
    answer = run("evaluate", "search=co_visit_text", "data.items=null")
    assert answer.error == "search=co_visit_text needs item texts, the data have none: use search=co_visit"


def test_what_is_asked_names_a_row(pipeline_of: PipelineOf) -> None:
    pipeline = pipeline_of()
    assert fingerprints(pipeline, {"generator"}) == {"networks": pipeline.model.fingerprint}
    assert set(fingerprints(pipeline, {"trie", "item_vectors"})) == {"networks", "vectors"}


def test_co_visit_text_is_searched_like_any_other(run: Any) -> None:
    said = run("evaluate", "search=co_visit_text", "evaluation.remove_seen=true").json
    assert said["dials"]["search.text_weight"] == 30 and said["parameters"] is None
    assert 0 < said["metrics"]["recall@10"] <= 1 and set(said["baselines"]) == {"popularity", "co_visit"}


def test_the_oracle_is_the_ceiling_of_a_simulated_shop_alone(run: Any, run_bare: Any, shared_store: Any) -> None:
    shop = ["data.users=400", "data.items=150", "logger=csv", f"store={shared_store}"]
    said = run_bare("evaluate", "search=oracle", *shop).json
    assert said["metrics"]["recall@10"] > max(each["recall@10"] for each in said["baselines"].values()) + 0.05
    assert run("evaluate", "search=oracle").error.startswith(
        "search=oracle needs a simulated shop (data=synthetic), got "
    )
