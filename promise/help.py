"""`promise --help`: verbs, groups, options and dials, read from the YAML files so that it is never stale."""

from collections.abc import Mapping, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from promise import configs

EXAMPLES = {
    "prepare": [
        ("promise prepare data=s3rec data.sequences=FILE.txt data.items=FILE.jsonl.gz", "your own data"),
    ],
    "train": [
        (
            "promise train data=amazon_beauty data.root=DIR generator=base seed=1",
            "larger networks, another seed",
        ),
    ],
    "evaluate": [
        ("promise evaluate experiment=quickstart", "simulated data, small networks"),
        ("promise evaluate search=guided search.width=20 search.expansion=10", "200 candidates a level"),
        ("promise evaluate -m search.width=10,20,50", "Hydra multirun: one evaluation per value"),
    ],
    "sweep": [
        ("promise sweep +sweeps=candidates data=amazon_beauty data.root=DIR split=test", "the scaling curve"),
        ("promise sweep +sweeps=width dry_run=true", "points, what is there, minutes and FLOPs"),
        ("promise sweep +sweeps=width launcher=joblib hydra.launcher.n_jobs=4", "four points at once"),
        ("promise sweep +sweeps=tune data=amazon_beauty data.root=DIR", "a study: dials that are worth their compute"),
    ],
    "bench": [
        ("promise bench what=search bench.save=bench.csv", "peers need pip install -e '.[bench]'"),
    ],
}
_CONFIGS = {"bench": "bench"}  # verb -> its root config, where that is not the one of all others
_WIDTH = 120  # columns, where the output is no terminal


def print_help(verb: str | None, verbs: Mapping[str, str], words: Sequence[str]) -> None:
    """Print the help of one verb, or that of the command itself.

    Args:
        verb: its name; None for the command itself.
        verbs: name -> what it does, of all that the help is about.
        words: overrides; a `GROUP=OPTION` among them shows the dials of that option instead of the default.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    own = _CONFIGS.get(verb or "")
    config = configs.root() / "conf" / f"{own or 'config'}.yaml"
    groups, defaults = ({}, {}) if own else (configs.groups(), configs.defaults(config))
    chosen = dict(defaults)
    for word in words:
        group, _, choice = word.lstrip("+").partition("=")
        if choice in groups.get(group, []):
            # An experiment chooses options of other groups.
            chosen |= {group: choice} | configs.defaults(configs.option_path(group, choice))
    command = f"promise {verb or 'VERB'}"
    console.print(Text(f"{command}{' [GROUP=OPTION ...]' if groups else ''} [DIAL=VALUE ...]"))
    _section(console, "Verb" if verb else "Verbs", list(verbs.items()))
    options = [
        (
            f"{group if group in defaults or group.startswith('hydra/') else f'+{group}'}=",
            "  ".join(f"{name}*" if chosen.get(group) == name else name for name in names),
        )
        for group, names in groups.items()
    ]
    _section(console, "Groups (* is the option in force)", options)
    _section(console, "Dials", _rows(configs.dials(config)))
    for group, option in chosen.items():
        if option is not None and option in groups.get(group, []):
            path = configs.option_path(group, option)
            _section(console, f"Dials of {group}={option}", _rows(configs.dials(path, group)))
    _section(console, "Examples", [row for name in verbs for row in EXAMPLES.get(name, [])])
    console.print(
        Text(
            f"\n{command} {'GROUP=OPTION --help shows the dials of that option, ' if groups else ''}"
            "--cfg job shows the whole config, -m runs every combination of DIAL=A,B, "
            "--hydra-help says what else Hydra can do."
        )
    )


def _rows(dials: Sequence[configs.Dial]) -> list[tuple[str, str, str]]:
    return [(dial.name, dial.value, dial.comment) for dial in dials]


def _section(console: Console, title: str, rows: Sequence[Sequence[str]]) -> None:
    """A heading over aligned columns, of which the last wraps; nothing when there are no rows."""
    if not rows:
        return
    table = Table.grid(padding=(0, 2))
    filled = max(index for row in rows for index, cell in enumerate(row) if cell) + 1
    for index in range(filled):
        table.add_column(style="cyan" if index == 0 else "", overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row[:filled]))
    console.print(Text(f"\n{title}", style="bold"))
    body: RenderableType = Padding(table, (0, 0, 0, 2), expand=False)
    console.print(body)
