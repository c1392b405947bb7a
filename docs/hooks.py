"""Hooks of MkDocs: pages made from conf/ and sweeps/, RESULTS.md with its files, the leaderboard's tables."""

from pathlib import Path

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from promise import configs
from promise.help import key_lines
from promise.pipeline.leaderboard import tables

#: Groups whose files change other groups: they are shown whole, on a page of their own.
RECIPES = ("experiment", "sweeps")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/, under its path in the repository, and the pages that are made here."""
    root = Path(config.config_file_path).parent
    for path in (root / "RESULTS.md", *sorted((root / "sweeps" / "results").iterdir())):
        if path.name != "notes.md":  # a part of RESULTS.md
            files.append(File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path)))
    for name, text in (("options", options_page()), ("recipes", recipes_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the tables under the text of the leaderboard's page."""
    if page.file.src_uri != "leaderboard.md":
        return markdown
    return markdown + tables(Path(config.config_file_path).parent / "sweeps" / "leaderboard")


def options_page() -> str:
    """Every key that the command line takes, in the YAML files' own words."""
    conf = configs.root() / "conf"
    usual, groups = configs.defaults(conf / "config.yaml"), configs.groups()
    text = [
        "# Options\n\nMade from `conf/`. `KEY=VALUE` on the command line changes a key, named by the groups above it "
        "(`search.width=10`); `GROUP=OPTION` takes another option of a group. `promise VERB GROUP=OPTION --help` shows "
        "the same in a terminal.\n",
        "| group | default | options |\n|---|---|---|",
        *(
            f"| {link(group, usual)} | {f'`{usual[group]}`' if usual.get(group) else ''} | {names(groups[kind])} |"
            for group in [*usual, *(each for each in groups if each not in usual and each not in RECIPES)]
            if (kind := group.partition("@")[0]) not in RECIPES
        ),
        f"\n## Of every verb\n\n{fence(key_lines(conf / 'config.yaml'))}",
        *(f"\n## Of `promise {verb}`\n\n{fence(key_lines(conf / f'{verb}.yaml'))}" for verb in configs.OWN),
    ]
    for group in sorted(set(groups) - set(RECIPES)):
        text += [f"\n## {group}", *(option(group, name, "###") for name in groups[group])]
    return "\n".join(text)


def recipes_page() -> str:
    """Experiments and sweeps, which set options of several groups."""
    text = ["# Experiments and sweeps\n\nMade from `conf/experiment/` and `sweeps/`: sets of options under one name."]
    for group, typed in zip(RECIPES, ("experiment=", "+sweeps="), strict=True):
        text += [f"\n## {typed}NAME", *(option(group, name, "###") for name in configs.groups()[group])]
    return "\n".join(text)


def option(group: str, name: str, heading: str) -> str:
    """One option: what its file says of it, what it builds on, and its keys."""
    path = configs.option_path(group, name)
    lines = path.read_text("utf-8").splitlines()
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    about = " ".join(line.lstrip("# ") for line in lines[:first] if "@package" not in line)
    body = "\n".join(lines[first:]) if "# @package _global_" in lines else key_lines(path, skip=first)
    based = (yaml.safe_load(path.read_text("utf-8")) or {}).get("defaults", ())
    above = [f"`{each}`" for each in based if isinstance(each, str) and each != "_self_"]
    builds = f" Builds on {', '.join(above)}." if above and group not in RECIPES else ""
    return f"\n{heading} `{name}`\n\n{about}{builds}\n\n{fence(body) if body else ''}"


def link(group: str, usual: dict[str, str | None]) -> str:
    """A group with a link to its section."""
    anchor = group.partition("@")[0].replace("/", "")
    return f"[`{group}`](#{anchor})" if group in usual else f"[`+{group}`](#{anchor})"


def names(options: list[str]) -> str:
    """Options of a group, in one cell of a table."""
    return " ".join(f"`{name}`" for name in options)


def fence(text: str) -> str:
    """A block of YAML."""
    return f"```yaml\n{text}\n```"
