"""Files of item ids: what is read, which items it names, and every file that is refused."""

from pathlib import Path

import polars as pl
import pytest
from omegaconf import OmegaConf

from promise.pipeline.item_files import indices_of, item_lists, read_ids

NUMBERS = pl.Series("id", [30, 7, 9, -2, 9223372036854775807])


def indices(folder: Path, content: str | bytes, catalogue: pl.Series = NUMBERS) -> list[int]:
    path = folder / "ids.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return indices_of("evaluation.deny", path, catalogue).tolist()


def test_ids_are_found_once_each(tmp_path: Path) -> None:
    assert indices(tmp_path, "30\r\n\n 7 \n30\n-2\n9223372036854775807") == [0, 1, 3, 4]
    names = pl.Series("id", ["B00", "7", "a b", "007", "é"])
    assert indices(tmp_path, b"\xef\xbb\xbfa b\n 007\n\xc3\xa9\n", names) == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold at least one item id, got none"),
        ("7\n\n7 8\n", "must hold one item id a line, got '7 8' in line 3"),
        ("1.5", "must hold one item id a line, got '1.5' in line 1"),
        ("9223372036854775808", "must hold one item id a line, got '9223372036854775808' in line 1"),
        (b"\xff\xfe", "is no text"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError) as error:
        indices(tmp_path, content)
    assert str(error.value) == f"evaluation.deny={tmp_path / 'ids.txt'} {message}"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^evaluation\.allow=.*none\.txt is no file$"):
        read_ids("evaluation.allow", tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"^evaluation\.allow must name a \.txt file, got 7$"):
        read_ids("evaluation.allow", 7)  # type: ignore[arg-type]


@pytest.mark.parametrize("catalogue", [NUMBERS, NUMBERS.cast(pl.String)])
def test_unknown_ids_are_counted_and_the_first_is_named(tmp_path: Path, catalogue: pl.Series) -> None:
    message = r"^evaluation\.deny names 2 of 3 items that the catalogue does not have, first 8$"
    with pytest.raises(ValueError, match=message):
        indices(tmp_path, "7\n8\n99\n8\n", catalogue)


def test_lists_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.txt" for name in ("allow", "deny")}
    paths["allow"].write_text("7\n9")
    paths["deny"].write_text("9\n7\n30")
    evaluation = {name: str(path) for name, path in paths.items()}
    with pytest.raises(ValueError, match=r"^evaluation\.deny=.*deny\.txt leaves no item to rank$"):
        item_lists(OmegaConf.create({"evaluation": evaluation}), set(paths), "a ranker", NUMBERS)
    found = item_lists(OmegaConf.create({"evaluation": {**evaluation, "allow": None}}), set(paths), "a ranker", NUMBERS)
    assert found["deny"].tolist() == [0, 1, 2]
