"""Files of item ids: what is read, and every file that is refused."""

from pathlib import Path

import numpy as np
import pytest

from promise.pipeline.item_files import indices_of, read_ids


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "ids.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_ids_are_read_once_each(tmp_path: Path) -> None:
    ids = read_ids("evaluation.allow", write(tmp_path, "30\r\n\n 7 \n30\n-2\n9223372036854775807"))
    assert ids.tolist() == [-2, 7, 30, 9223372036854775807] and ids.dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must hold at least one item id, got none"),
        ("7\n7 8\n", "must hold one item id a line, got '7 8' in line 2"),
        ("1.5", "must hold one item id a line, got '1.5' in line 1"),
        ("9223372036854775808", "must hold one item id a line, got '9223372036854775808' in line 1"),
        (b"\xff\xfe", "is no text"),
    ],
)
def test_what_is_no_list_of_ids_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ValueError) as error:
        read_ids("evaluation.deny", path)
    assert str(error.value) == f"evaluation.deny={path} {message}"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^evaluation\.allow=.*none\.txt is no file$"):
        read_ids("evaluation.allow", tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"^evaluation\.allow must name a \.txt file, got 7$"):
        read_ids("evaluation.allow", 7)  # type: ignore[arg-type]


def test_indices_are_those_of_the_ids() -> None:
    catalogue = np.array([30, 7, 9])
    assert indices_of("evaluation.allow", np.array([7, 9, 30]), catalogue).tolist() == [1, 2, 0]
    message = r"^evaluation\.allow names 2 of 3 items that the data don't have, first 8$"
    with pytest.raises(ValueError, match=message):
        indices_of("evaluation.allow", np.array([7, 8, 99]), catalogue)
