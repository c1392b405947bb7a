"""What a sweep's last start drew and found, kept so that one that has nothing new draws and computes nothing anew."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import promise


def made_of(table: Path, settings: Any) -> str:
    """Fingerprint of all that a report is made of: the table of results, some settings, and our own code.

    Args:
        table: The results file.
        settings: JSON-able.
    """
    digest = hashlib.sha256(table.read_bytes())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    package = Path(promise.__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def find_report(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The report of that fingerprint, if all the files that it names are there.

    Args:
        path: Where the last one is kept.
        fingerprint: As `made_of` gives it.
    """
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if kept.get("made_of") != fingerprint or not all(Path(each).exists() for each in kept["paths"].values()):
        return None
    return kept


def keep_report(path: Path, fingerprint: str, report: dict[str, Any]) -> None:
    """Keep a report; the file appears whole.

    Args:
        path: Where.
        fingerprint: As `made_of` gives it.
        report: JSON-able; its `paths` name files.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps({"made_of": fingerprint, **report}, indent=1) + "\n", encoding="utf-8")
    part.rename(path)
