"""The README is short; what it and the documentation name exists, and what they tell people to type works."""

import re
import shlex
from pathlib import Path

import pytest

from promise import configs
from promise.cli import SUBCOMMANDS, VERBS, overrides_of

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
TEXT = "\n".join(path.read_text("utf-8") for path in (README, *sorted((ROOT / "docs").rglob("*.md"))))
FENCES = re.findall(r"^```\w*\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL))
MAPS = re.findall(r"^#+ [^\n]*where do I change.*?(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL | re.IGNORECASE)
TOP = "promise|conf|sweeps|tests|notebooks|docs"


def exists(path: str) -> bool:
    return (ROOT / path).exists() or (ROOT / "promise" / path).exists()


def commands() -> list[str]:
    """`promise ...` and `make ...` lines of code fences and of inline code that holds no ellipsis."""
    lines = [line for fence in FENCES for line in fence.replace("\\\n", " ").splitlines()]
    typed = [line.strip().removeprefix("$ ") for line in [*lines, *INLINE] if "…" not in line and "..." not in line]
    typed = [re.sub(r"^(PYTHONPATH=\S+ |\.venv/bin/)", "", line) for line in typed]
    found = [line for line in typed if re.match(r"promise |make ", line) and " [" not in line and "VERB" not in line]
    return list(dict.fromkeys(found))


def single(word: str) -> str:
    """An override as one job of a multirun sees it: the first of its values."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    override = OverridesParser.create().parse_override(word)
    if not override.is_sweep_override():
        return word
    return f"{word.split('=')[0]}={next(iter(override.sweep_string_iterator()))}"


def test_at_most_120_lines() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 120


def test_the_map_names_what_exists() -> None:
    section = re.sub(r"\]\(\S+\)", "]", "\n".join(MAPS))
    packages = "|".join(path.parent.name for path in (ROOT / "promise").glob("*/__init__.py"))
    paths = set(re.findall(r"[\w./-]*[\w-]+\.(?:py|ya?ml|md|csv|svg|png|ipynb)\b", section))
    paths |= set(re.findall(rf"(?<![\w./-])(?:{TOP}|{packages})/[\w./-]*\w", section))
    assert [path for path in sorted(paths) if "NAME" not in path and not exists(path)] == []


def test_code_and_links_name_what_exists() -> None:
    code = "\n".join([*FENCES, *INLINE])
    paths = set(re.findall(rf"(?<![\w./-])(?:{TOP})/[\w./-]*\w", code))
    paths |= set(re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", README.read_text("utf-8")))  # mkdocs looks at the others
    assert [path for path in sorted(paths) if "NAME" not in path and not exists(path)] == []


@pytest.mark.parametrize("command", commands())
def test_commands_work(command: str) -> None:
    program, *words = shlex.split(command, comments=True)
    if words[0] == "score":
        words[1:] = overrides_of(words[1:])
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert {word for word in words if "=" not in word} <= set(targets)
        return
    assert words[0] in {*VERBS, *SUBCOMMANDS, "--help", "--version"}
    if "launcher=ray" in words:
        pytest.importorskip("hydra_plugins.hydra_ray_launcher")  # not installed for tests
    if words[0] in VERBS:
        folders = []
        if "--config-dir" in words:
            folders = [f"hydra.searchpath=[{ROOT / words.pop(words.index('--config-dir') + 1)}]"]
        given = [single(word) for word in words[1:] if not word.startswith("-")]
        configs.compose([*folders, *given], configs.root_config(words[0]))


def test_the_results_are_those_of_the_committed_rows() -> None:
    import polars as pl

    place = {"dataset": "amazon_beauty", "recipe": "counts", "seen": "keep", "half": "all", "seed": 0}
    found = pl.read_csv(ROOT / "sweeps" / "results" / "headline.csv").filter(**place)
    rows = {row["method"]: row for row in found.to_dicts()}
    keys = {
        "popularity": "popularity",
        "co-visit nearest neighbours": "co_visit",
        "co-visit × text of the last item": "co_visit_text",
        "the table of co-occurrence counts alone": "cooccurrence",
        "plain beam, W = 20": "plain",
        "guided, W = 20, C = 200": "guided",
        "the same, the reward at the last level alone": "last_level",
        "reward model over the whole catalogue (exhaustive)": "exhaustive",
    }
    table = re.findall(r"^\| (.+?) \| (\.\d{4}) \| (\.\d{4}) \| ([\d.]*) ?\|$", TEXT, re.MULTILINE)
    assert {label for label, *_ in table} == keys.keys()
    for label, recall, ndcg, cost in table:
        row = rows[keys[label]]
        assert f"{row['recall@10']:.4f}"[1:] == recall
        assert f"{row['ndcg@10']:.4f}"[1:] == ndcg
        assert not cost or float(cost) == float(f"{float(row['flops_per_user']) / 1e6:.3g}")


def test_the_speeds_are_those_of_the_committed_run() -> None:
    import polars as pl

    rows = {row["measure"]: row for row in pl.read_csv(ROOT / "sweeps" / "results" / "bench.csv").to_dicts()}
    told = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.]+) \| (?:[≤≥] ([\d.]+))? ?\|$", TEXT, re.MULTILINE)
    assert len(told) > 10
    for measure, figure, goal in told:
        row = rows[measure]
        assert figure == f"{row['ours'] if row['ratio'] is None else row['ratio']:.3g}", measure
        assert (float(goal) if goal else None) == row["goal"]
