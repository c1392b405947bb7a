"""Hydra around a verb: bad input ends in one line, tables go to stdout, JSON is the last line."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from promise import configs
from promise.pipeline.checks import check
from promise.pipeline.errors import ending_checks
from promise.pipeline.store import process_rank

#: Exit code of a sweep whose points all failed.
ALL_FAILED = 1

#: Root options that are true or false and mean something to a sweep alone.
SWITCHES = ("dry_run", "retry_failed")


def app(
    run: Callable[[DictConfig], dict[str, Any]], config_name: str = "config", switches: bool = False
) -> Callable[[], None]:
    """Make a verb's Hydra app: check the config, run, print the result's JSON as the last line of stdout, once.

    A result in which all points failed ends with exit code 1. The config is checked when it is `config`, the root of
    most verbs; `switches` says whether `SWITCHES` mean something to this one.
    """
    configs.register_search_path()

    @hydra.main(version_base=configs.HYDRA_VERSION_BASE, config_path=configs.config_path(), config_name=config_name)
    def main(cfg: DictConfig) -> dict[str, Any]:
        with ending_checks():
            if config_name == "config":
                check(cfg, multirun=HydraConfig.get().mode == RunMode.MULTIRUN)
                for name in () if switches else SWITCHES:
                    if cfg[name]:
                        raise ValueError(f"{name}=true means something to promise sweep alone")
            with open(os.devnull, "w") as nowhere, redirect_stdout(sys.stdout if process_rank() == 0 else nowhere):
                result = run(cfg)
                print(json.dumps(result), flush=True)
            if result.get("failed") and result["failed"] == result["points"]:
                raise SystemExit(ALL_FAILED)
        return result

    return main


def choices() -> dict[str, str]:
    """Names of the options chosen for this job, by group."""
    return {str(group): str(option) for group, option in HydraConfig.get().runtime.choices.items()}


def config_places() -> tuple[list[str], list[str]]:
    """Where configs of one's own lie: the folder of --config-dir, places of hydra.searchpath; within a Hydra app."""
    hydra = HydraConfig.get()
    return [each.path for each in hydra.runtime.config_sources if each.provider == "command-line"], [*hydra.searchpath]


def config_folder() -> list[str]:
    """The words that name the configs of one's own, if there are any; within a Hydra app."""
    given, further = config_places()
    words = [f"hydra.searchpath={further}"] if further else []
    return [*(word for path in given for word in ("--config-dir", path)), *words]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on stdout, numbers to the right; a narrow terminal wraps its lines, no figure is cut.

    Args:
        title: Above the table.
        columns: Headings.
        rows: Cells; None is shown as a dash, a float with four digits.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(columns):
        words = any(isinstance(row[index], str) for row in rows)
        table.add_column(name, justify="left" if words else "right")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update_width(1000)).maximum)
    console.print(f"\n{title}", style="bold", highlight=False, markup=False, soft_wrap=True)  # paths stay whole
    console.print(table)


def cell(value: Any) -> str:
    """A value as a table shows it.

    >>> [cell(v) for v in (None, 0.12345, 12101, [10, 20], 88_100_000.0)]
    ['–', '0.1235', '12,101', '[10, 20]', '88,100,000']
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
