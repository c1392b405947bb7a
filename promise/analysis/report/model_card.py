"""The card of a model that is shared, a README.md in the Hugging Face Hub's form: YAML in front, then text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import promise
from promise.analysis.results import protocol
from promise.analysis.units import flops_text

#: Metrics of a row that the card has, with their names.
METRICS = {"recall@10": "Recall@10", "ndcg@10": "NDCG@10"}

#: Columns of a row that say which search it is, without those that follow from others.
SILENT = ("search.expansion", "search.temperature", "search.control")

TAGS = ["recommendation", "generative-recommendation", "semantic-ids"]


def model_card(
    described: Mapping[str, Any],
    name: str,
    place: str,
    license: str,
    rows: Sequence[Mapping[str, Any]] = (),
    dataset: str | None = None,
    data: Sequence[tuple[str, str]] = (),
    columns: Sequence[str] = (),
) -> str:
    """Write the card.

    Args:
        described: The folder's description, `model.json`.
        name: What the model is called.
        place: Where it will be found, for `promise pull`.
        license: Under what it may be used, as its owner states.
        rows: Evaluations of its networks, as the rows of a sweep.
        dataset: Name of the data; None = nothing is known.
        data: What is known of the data, as pairs of a name and words.
        columns: Columns of the catalogue that go with the model.
    """
    origin, config, search = described["origin"], described["config"], described["search"]
    measured = [{**row, "dials": dials(row), "cost": flops_text(row.get("flops_per_user"))} for row in rows]
    front = {
        "license": license,
        "library_name": "promise-genrec",
        "tags": TAGS + (["process-reward-model"] if config["reward"] else []),
        **({"datasets": [dataset]} if dataset else {}),
        **({"model-index": [{"name": name, "results": results(measured)}]} if measured else {}),
    }
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = lambda value: str(value).replace("|", "\\|").replace("\n", " ")
    text = environment.get_template("model_card.md.j2").render(
        name=name,
        place=place,
        license=license,
        measured=measured,
        metrics=METRICS,
        data=[*([("name", dataset)] if dataset else []), *data, ("fingerprint", origin["data"])],
        columns=columns,
        overrides=origin.get("overrides"),
        options={**origin.get("options", {}), **{f"search.{key}": value for key, value in search.items()}},
        reward=config["reward"] is not None,
        networks=described["networks"],
        version=promise.__version__,
        protocol=protocol,
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{text}"


def dials(row: Mapping[str, Any]) -> str:
    """The search of a row in words.

    >>> dials({"search": "guided", "search.width": 20.0, "search.weight": 1, "search.fusion": None})
    'guided, width 20, weight 1'
    """
    named = {name.removeprefix("search."): value for name, value in row.items() if name.startswith("search.")}
    silent = {name.removeprefix("search.") for name in SILENT if row.get(name) != "shuffled"}
    extra = {name: row.get(name) for name in ("cooccurrence.scale", "allow", "deny")}
    shown = {name: value for name, value in (named | extra).items() if value is not None and name not in silent}
    words = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in shown.items())
    return ", ".join([str(row["search"]), *words])


def results(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries of a model-index: one for each data set, split and treatment of past items."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        place = str(row["data"]), str(row["split"]), protocol(row["seen"])
        for metric, name in METRICS.items():
            if row.get(metric) is not None:
                entry = {"type": metric, "value": round(row[metric], 6), "name": f"{name}, {row['dials']}"}
                found.setdefault(place, []).append(entry)
    return [
        {
            "task": {"type": "recommendation", "name": "next item"},
            "dataset": {"type": data, "name": data, "config": seen, "split": split},
            "metrics": metrics,
        }
        for (data, split, seen), metrics in found.items()
    ]
