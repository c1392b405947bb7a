"""What every verb shares: which errors are checks, tables on stdout, numbers as a reader wants them."""

import os
import shlex
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from promise.pipeline.config import make
from promise.pipeline.errors import is_check, own_words
from promise.pipeline.verb import show
from promise.search.options import check_options


def raised(function: object, *values: object) -> Exception:
    with pytest.raises(Exception) as error:
        function(*values)  # type: ignore[operator]
    return error.value


def test_an_error_of_our_own_lines_is_a_check() -> None:
    error = raised(check_options, {"width": 0})
    assert is_check(error)
    assert own_words(error) == "search.width must be an integer >= 1, got 0"


def test_errors_of_others_are_faults() -> None:
    assert not is_check(raised(int, "x"))
    assert not is_check(raised(np.zeros(3).reshape, (2, 2)))
    assert not is_check(raised(lambda: {}["x"]))


def test_a_check_within_a_constructor_is_unwrapped() -> None:
    inner = {"_target_": "promise.data.embeddings.text.TextEmbedding", "dim": 0, "min_df": 1, "ngrams": 1}
    error = raised(make, OmegaConf.create({"_target_": "builtins.dict", "part": inner}))
    assert isinstance(error, InstantiationException)
    assert is_check(error)
    assert own_words(error) == "embeddings.dim must be an integer >= 1, got 0"


@pytest.mark.parametrize(
    "value", ["übung.csv", "ratings (1).csv", "day=1/part.csv", "~/a.csv", "q'uote.csv", "[1].csv"]
)
def test_a_value_that_hydra_cannot_read_is_told_with_the_quotes_that_it_needs(value: str) -> None:
    parser = OverridesParser.create()
    said = own_words(raised(parser.parse_overrides, [f"data.events={value}"]))
    given, _, typed = said.partition(" cannot be read: if it is meant so, type it in quotes of its own: ")
    assert given == f"data.events={value}" and shlex.split(typed)[0].startswith("data.events='")
    assert parser.parse_override(shlex.split(typed)[0]).value() == os.path.expanduser(value)
    said = own_words(raised(parser.parse_overrides, ["data.events"]))
    assert said == "data.events cannot be read: what stands behind a verb is KEY=VALUE"


def test_show_writes_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show("Title", ["name", "value"], [["a", 0.5], ["b", None]])
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("\nTitle\n")
    assert [line.split() for line in out.splitlines() if "0.5" in line] == [["a", "0.5000"]]
    assert "–" in out


def test_other_ranks_say_nothing(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("prepare").json["verb"] == "prepare"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run("prepare").out == ""
