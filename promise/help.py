"""`promise --help`: verbs, groups and options, and the YAML files, whose comments say what each key means."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from promise import configs

EXAMPLES = {
    "prepare": [("data=table data.events=FILE.csv data.items=FILE.csv", "your own data")],
    "train": [("data=amazon_beauty data.root=DIR generator=base seed=1", "larger networks, another seed")],
    "evaluate": [
        ("experiment=quickstart", "simulated data, small networks"),
        ("search=guided search.width=20 search.expansion=10", "200 candidates a level"),
        ("-m search.width=10,20,50", "Hydra multirun: one evaluation per value"),
    ],
    "score": [
        (
            "lists.parquet data=amazon_beauty data.root=DIR split=test",
            "of predictions=, or any table of user, item, rank",
        ),
        (
            "search=co_visit data=amazon_beauty data.root=DIR split=test",
            "a search of ours, its networks trained before",
        ),
    ],
    "recommend": [
        ("model=FOLDER histories=FILE.csv out=top.jsonl", "ten items for every user, with titles"),
        ("model=FOLDER histories=FILE.jsonl k=50 deny=sold.txt out=top.csv", "fifty, none of a list"),
    ],
    "serve": [("model=FOLDER port=8000 search.width=20", "answers POST /recommend and /explain")],
    "append": [("model=FOLDER data.items=FILE.csv out=FOLDER2", "kill -USR1 lets a server load it")],
    "push": [
        ("model=FOLDER to=owner/name license=cc-by-4.0 rows=results.csv", "private unless private=false"),
        ("model=FOLDER to=./shared license=other", "a folder to hand on"),
    ],
    "pull": [("from=owner/name out=model", "then: promise recommend model=model ...")],
    "sweep": [
        ("+sweeps=candidates data=amazon_beauty data.root=DIR split=test", "the scaling curve"),
        ("+sweeps=width dry_run=true", "its points, and what they lack"),
        ("+sweeps=width launcher=joblib hydra.launcher.n_jobs=4", "four points at once"),
        ("+sweeps=tune data=amazon_beauty data.root=DIR", "a study: options that are worth their compute"),
    ],
    "bench": [("what=search bench.save=bench.csv", "the engine beside its peers, as a table and a chart")],
}


def print_help(verb: str | None, verbs: Mapping[str, str], words: Sequence[str]) -> None:
    """Print the help of one verb, or that of the command itself (None); `verbs` says what each does.

    A `GROUP=OPTION` among the words shows the keys of that option instead of the default.
    """
    root = configs.root() / "conf" / f"{configs.root_config(verb or '')}.yaml"
    usual = configs.defaults(root)
    groups = configs.groups() if usual else {}
    groups |= {name: groups[name.partition("@")[0]] for name in usual if "@" in name}
    chosen = dict(usual)
    for word in words:
        group, _, option = word.lstrip("+").partition("=")
        if option in groups.get(group, []):
            # An experiment chooses options of other groups.
            chosen |= {group: option} | configs.defaults(configs.option_path(group.partition("@")[0], option))
    takes = [*(["[FILE]"] if verb == "score" else []), *(["[GROUP=OPTION ...]"] if groups else []), "[KEY=VALUE ...]"]
    print(f"promise {verb or 'VERB'} {' '.join(takes)}\n")
    print(*(f"  {name:<10} {about}" for name, about in verbs.items()), sep="\n")
    if groups:
        print("\nGroups and their options (* is in force); the keys of an option: promise VERB GROUP=OPTION --help")
    for group, options in sorted(groups.items()):
        typed = group if group in usual or group.startswith("hydra/") else f"+{group}"
        print(f"  {typed}=", *(f"{name}*" if chosen.get(group) == name else name for name in options))
    print(f"\nKeys\n{key_lines(root, '  ')}")
    for group, name in chosen.items():
        if name in groups.get(group, []):
            print(f"\n{group}={name}\n{_option(group, str(name))}")
    print("\nExamples")
    for name in verbs:
        for rest, about in EXAMPLES.get(name, ()):
            print(f"  promise {name} {rest:<64} # {about}")
    print(
        "\n--cfg job shows the whole config, -m runs every combination of KEY=A,B, --hydra-help what else Hydra can do."
    )


def _option(group: str, option: str) -> str:
    """The keys of an option under the name of its group, those of the options that it builds on first."""
    folder, _, package = group.partition("@")
    path = configs.option_path(folder, option)
    text = path.read_text("utf-8")
    based = [entry for entry in (yaml.safe_load(text) or {}).get("defaults", ()) if isinstance(entry, str)]
    names = [name.partition("@")[0] for name in based if name != "_self_"]
    above = [_option(*(name if name[0] == "/" else f"/{group}/{name}")[1:].rsplit("/", 1)) for name in names]
    own = key_lines(path, "  " if "@package _global_" in text else "    ", hidden=("defaults:",))
    return "\n".join([*above, own if "@package" in text else f"  {package or folder.replace('/', '.')}:\n{own}"])


def key_lines(path: Path, indent: str = "", skip: int = 0, hidden: tuple[str, ...] = ("defaults:", "hydra:")) -> str:
    """The lines of a config file, indented, but the first `skip` ones and those below the keys that are hidden."""
    lines, skipped = [], False
    for line in path.read_text("utf-8").splitlines()[skip:]:
        if line and not line.startswith((" ", "#")):
            skipped = line.startswith(hidden)
        if not skipped and line.strip() and not re.match(r"\s*_target_:|# @package", line):
            lines.append(f"{indent}{line}")
    return "\n".join(lines)
