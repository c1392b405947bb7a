"""Every notebook runs on prepared artifacts, defines nothing, and carries light outputs without errors or paths."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = ["01_data_and_ids", "02_semantic_drift", "03_scaling_laws", "04_your_own_data"]
MOST_BYTES = 200_000
SHOP = (
    "experiment=smoke", "data.users=800", "data.items=300", "ids.codes=16", "generator.dim=32", "training.epochs=3",
    "checkpoint_selection.users=200", "trainer.precision=32-true", "logger=csv",
)  # fmt: skip
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
PATHS = re.compile(r"(?<![\w.:/<])/(?:home|root|tmp|work|usr|opt|Users|mnt|var)\b|[A-Z]:\\\\")


def cells(path: Path, kind: str = "code") -> list[Any]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


def plain(source: str) -> str:
    """A cell without what only IPython understands."""
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def faults(source: str) -> list[str]:
    """What a code cell holds and should not."""
    tree = ast.parse(plain(source))
    return [type(node).__name__ for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]


@pytest.fixture(scope="session")
def prepared(run_bare: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The words of a small shop whose networks are trained, and that nothing may be built for."""
    words = [*SHOP, f"store={tmp_path_factory.mktemp('notebooks')}"]
    assert run_bare("train", *words).code == 0
    return " ".join([*words, "build=never"])


def test_they_are_all_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_committed(path: Path) -> None:
    text = path.read_text("utf-8")
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert len(text.encode()) < MOST_BYTES
    assert PATHS.search(text) is None
    assert set(notebook.metadata) == {"kernelspec", "language_info"} and notebook.metadata.kernelspec.name == "python3"
    code = cells(path)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "not executed from top to bottom"
    for cell in code:
        assert faults(cell.source) == [] and dict(cell.metadata) == {}
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert path.stem == NAMES[0] or "](0" in cells(path, "markdown")[-1].source or path.stem == NAMES[-1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, prepared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMISE_NOTEBOOK", prepared)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(FOLDER)
    names: dict[str, Any] = {}
    for cell in cells(path):
        exec(plain(cell.source).replace("training.epochs=10", "training.epochs=1"), names)


def test_the_rules_see_a_fault() -> None:
    assert faults("%matplotlib inline\nx = [i for i in range(3)]") == []
    assert faults("def f():\n    return 1") == ["FunctionDef"]
    assert faults("class A: pass\nf = lambda x: x") == ["ClassDef", "Lambda"]
    assert PATHS.search(json.dumps("C:\\Users")) and PATHS.search("in /home/x/y") and not PATHS.search("../outputs")
