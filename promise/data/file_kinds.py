"""What kind of table or list a file holds, told from its first bytes, and what to do with one of another kind."""

import gzip
import zlib
from pathlib import Path

_HEAD = 2**20  # bytes that are looked at
#: What may divide the fields of a CSV file.
SEPARATORS = "\t,;|"

#: First bytes of files that are no text.
_MAGIC = {
    "parquet": (b"PAR1",),
    "zip": (b"PK\3\4",),
    "packed": (b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf"),
    "binary": (b"ARROW1",),
    "utf-16": (b"\xff\xfe", b"\xfe\xff"),
}

_WRONG = {
    "empty": "is empty",
    "zip": "is a zip archive: unpack it first (an Excel file: save it as CSV)",
    "packed": "is packed by another program than gzip: unpack it first",
    "utf-16": "is UTF-16 text: make it UTF-8 first (iconv -f UTF-16 -t UTF-8)",
    "binary": "is no text file (it holds NUL bytes)",
    "cr": "ends its lines in carriage returns alone: make them newlines first (tr '\\r' '\\n')",
    "bom": "begins with a byte order mark, which JSON lines may not: remove it first (tail -c +4)",
    "json": "is one JSON document: it must hold one object a line; files of LC-Rec: use data=lcrec data.root=FOLDER",
    "python": "holds Python literals, as the review data of 2014 do: use data=amazon_reviews",
    "text": "is no table: it has no line of columns with tabs, commas, semicolons or | between them",
    "recbole": "looks like an atomic file of RecBole: use data=recbole data.root=FOLDER data.name=NAME",
    "movielens": "looks like a file of MovieLens-1M (fields divided by ::): use data=movielens data.root=FOLDER",
    "sequences": "looks like one user per line (user, then items): use data=s3rec data.sequences={path}",
    "csv": "looks like a table of events: use data=table data.events={path}",
    "parquet": "looks like a table of events: use data=table data.events={path}",
    "jsonl": "looks like a table of events: use data=table data.events={path}",
}


def head(name: str, path: Path) -> bytes:
    """The first bytes of the file of an option, unpacked where it is gzipped; ValueError if it cannot be read."""
    try:
        with path.open("rb") as file:
            gzipped = file.peek(2).startswith(b"\x1f\x8b")
            return gzip.GzipFile(fileobj=file).read(_HEAD) if gzipped else file.read(_HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: cannot read {path.name}: {error}") from error


def kind_of(start: bytes) -> str:
    """The kind of file that starts so: a key of the table above.

    >>> [kind_of(start) for start in (b"", b'{"a": 1}', b"u,i\\n1,2", b"7 1 2 3\\n8 4 5\\n", b"u:token\\n", b"BZh9")]
    ['empty', 'jsonl', 'csv', 'sequences', 'recbole', 'packed']
    """
    for kind, magics in _MAGIC.items():
        if start.startswith(magics):
            return kind
    if b"\0" in start:
        return "utf-16" if start[1::2].count(0) > len(start) // 4 else "binary"
    text = start.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return "empty"
    if b"\r" in text and b"\n" not in text:
        return "cr"
    if text.startswith(b"[") or (text.startswith(b"{") and text[1:].split(b"\n")[0].strip() == b""):
        return "json"
    if text.startswith(b"{"):
        if text[1:].lstrip().startswith(b"'"):
            return "python"
        return "bom" if start.startswith(b"\xef\xbb\xbf") else "jsonl"
    lines = [line for line in text.splitlines() if line.strip()]
    if b":token" in lines[0]:
        return "recbole"
    if b"::" in lines[0]:
        return "movielens"
    rows = [line.split() for line in (lines[:-1] if len(start) == _HEAD else lines)]
    numbers = [row for row in rows if len(row) > 1 and b"".join(row[1:]).isdigit()]
    if len(numbers) == len(rows) and (len({len(row) for row in rows}) > 1 or len(rows) == 1):
        return "sequences"
    return "csv" if any(separator in lines[0].decode(errors="replace") for separator in SEPARATORS) else "text"


def require_kind(name: str, path: Path, *kinds: str) -> str:
    """The kind of the file of an option, which must be one of some.

    Raises:
        ValueError: If it cannot be read, or is of another kind; the error says which, and what reads it.
    """
    kind = kind_of(head(name, path))
    if kind not in kinds:
        raise ValueError(f"{name}: {path.name} {_WRONG[kind].format(path=path)}")
    return kind


def hint(path: Path, *kinds: str) -> str:
    """What to add to an error about a file that should be of some kind: what it looks like instead, or nothing."""
    kind = kind_of(head(path.name, path))
    return "" if kind in (*kinds, "text") else f"; the file {_WRONG[kind].format(path=path)}"
