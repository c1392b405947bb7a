"""The templates of reports and cards, filled in: one environment for all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def filled(name: str, filters: Mapping[str, Any], /, **values: Any) -> str:
    """The text of a template of this folder; what goes into a page of HTML is escaped, what is missing raises."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name).render(values)
