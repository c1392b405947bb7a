"""Who imports whom: the layers of the package, no cycles, and the house rules for files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "promise").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}
# package -> what of ours it may import; a package or module that is not named here (the verbs) may import all
BELOW = {"ids", "models", "metrics", "analysis", "configs", "data", "search", "tasks", "pipeline"}
LAYERS: dict[str, set[str]] = {
    "ids": set(),
    "models": set(),
    "metrics": set(),
    "analysis": set(),
    "configs": set(),
    "data": {"ids"},
    "search": {"ids", "models.flops"},
    "tasks": {"ids", "models", "metrics", "data", "search"},
    "pipeline": BELOW,
    "experiments": BELOW,
}
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc"}
MAX_LINES = 300


def imports(tree: ast.AST, package: str) -> Iterator[tuple[str, int]]:
    """(dotted name, level) of every import, those inside functions too; `from a import b` is a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module or package}.{alias.name}", node.level) for alias in node.names)


def ours(path: Path) -> set[str]:
    """Our modules that a file imports; the package `promise` itself (for its version) does not count."""
    found = set()
    for name, _ in imports(ast.parse(path.read_text("utf-8")), "promise"):
        # The longest prefix that is a module: a.b.C is the module a.b.
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        if name not in ("", "promise"):
            found.add(name)
    return found


GRAPH = {module: ours(path) for module, path in MODULES.items()}


def within(module: str, layer: str) -> bool:
    return module == f"promise.{layer}" or module.startswith(f"promise.{layer}.")


def violations(graph: dict[str, set[str]]) -> list[str]:
    found = []
    for module, imported in graph.items():
        for layer, allowed in LAYERS.items():
            if within(module, layer):
                found += [
                    f"{module} imports {name}"
                    for name in sorted(imported)
                    if not any(within(name, other) for other in {layer} | allowed)
                ]
    return found


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of the graph, or an empty list."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for name in sorted(graph.get(module, ())):
                if found := visit(name, [*path, module]):
                    return found
            done.add(module)
        return []

    return next(filter(None, (visit(module, []) for module in graph)), [])


def test_every_package_imports_only_the_layers_below() -> None:
    assert violations(GRAPH) == []


def test_no_cycles() -> None:
    assert cycle(GRAPH) == []


def test_the_rules_see_a_violation() -> None:
    bad = {"promise.search.a": {"promise.models.flops", "promise.models.b"}, "promise.analysis": {"promise.ids"}}
    assert violations(bad) == ["promise.search.a imports promise.models.b", "promise.analysis imports promise.ids"]
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    inner = ast.parse("def f():\n    from promise.ids import trie\n    from . import x")
    assert list(imports(inner, "promise")) == [("promise.ids.trie", 0), ("promise.x", 1)]


def test_analysis_does_not_import_torch() -> None:
    modules = [module for module in MODULES if within(module, "analysis")]
    for module in modules:
        names = {name.split(".")[0] for name, _ in imports(ast.parse(MODULES[module].read_text("utf-8")), "")}
        assert not names & {"torch", "torchmetrics", "lightning"}, module
    script = "".join(f"import {module}\n" for module in modules) + "import sys\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def broken_rules(path: Path) -> Iterator[str]:
    """House rules that a file breaks."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    if any(level for _, level in imports(tree, "")):
        yield "relative import"
    if len(text.splitlines()) > MAX_LINES:
        yield f"more than {MAX_LINES} lines"
    if {part.split(".")[0] for part in path.relative_to(ROOT).parts} & FORBIDDEN:
        yield "a name that says nothing"
    if not re.match(r'r?"""\S.{9,}', text.split("\n", 1)[0]) or not ast.get_docstring(tree):
        yield "the first line must say the file's one job"
    if path in FILES and re.search(r"\b(TODO|FIXME|XXX)\b", text):
        yield "something left to do"


def test_house_rules() -> None:
    assert [f"{path}: {rule}" for path in [*FILES, *TESTS] for rule in broken_rules(path)] == []
