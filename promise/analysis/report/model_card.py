"""The card of a model that is shared, a README.md in the Hugging Face Hub's form: YAML in front, then text."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

import promise
from promise.analysis.plots.curves import spelled
from promise.analysis.report.results_md import cell
from promise.analysis.report.templates import filled
from promise.analysis.results import per_level, protocol
from promise.analysis.units import flops_text

#: Metrics of a row that the card has, with their names.
METRICS = {"recall@10": "Recall@10", "ndcg@10": "NDCG@10"}
#: Columns of a row that the card has.
SHOWN = ["data", "split", "seen", "users", "flops_per_user"]
SHOWN += [metric + end for metric in METRICS for end in ("", "_low", "_high")]
#: Columns of a row's search that follow from others.
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
        rows: Evaluations of its networks: see `card_rows`.
        dataset: Name of the data; None = nothing is known.
        data: What is known of the data, as pairs of a name and words.
        columns: Columns of the catalogue that go with the model.
    """
    origin, config, search = described["origin"], described["config"], described["search"]
    front = {
        "license": license,
        "library_name": "promise-genrec",
        "tags": TAGS + (["process-reward-model"] if config["reward"] else []),
        **({"datasets": [dataset]} if dataset else {}),
        **({"model-index": [{"name": name, "results": results(rows)}]} if rows else {}),
    }
    text = filled(
        "model_card.md.j2",
        {"flops": flops_text, "cell": cell},
        name=name,
        place=place,
        license=license,
        rows=rows,
        metrics=METRICS,
        data=[*([("name", dataset)] if dataset else []), *data, ("fingerprint", origin["data"])],
        columns=columns,
        command=shlex.join(["promise", "train", *origin["overrides"]]) if "overrides" in origin else None,
        options=origin.get("options", {}) | {f"search.{key}": each for key, each in search.items() if each is not None},
        reward=config["reward"] is not None,
        networks=described["networks"],
        version=promise.__version__,
        protocol=protocol,
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n{text}"


def card_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the card says of the rows of evaluations; of two that it would say the same of one."""
    found: list[dict[str, Any]] = []
    for row in rows:
        said = {name: row.get(name) for name in SHOWN} | {"dials": dials(row)}
        if said not in found:
            found.append(said)
    return found


def dials(row: Mapping[str, Any]) -> str:
    """The search of a row in words.

    >>> dials({"search": "guided", "search.width": "[50.0, 20.0]", "search.weight": 1.0, "search.fusion": None})
    'guided, width 50-20, weight 1'
    """
    named = {name.removeprefix("search."): value for name, value in row.items() if name.startswith("search.")}
    silent = {name.removeprefix("search.") for name in SILENT if row.get(name) != "shuffled"}
    extra = {name: row.get(name) for name in ("cooccurrence.scale", "allow", "deny")}
    shown = {name: value for name, value in (named | extra).items() if value is not None and name not in silent}
    levels = {name: spelled(per_level(shown[name])) for name in ("width", "candidates", "weight") if name in shown}
    return ", ".join([str(row["search"]), *(f"{name} {value}" for name, value in (shown | levels).items())])


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
