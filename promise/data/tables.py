"""Tables in files: CSV, TSV, Parquet and JSON lines as lazy frames of text columns, and the line of what is wrong."""

import ast
import csv
import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import escape, glob, has_magic
from pathlib import Path
from typing import Any, TextIO, cast

import polars as pl
import polars.selectors as cs

from promise.data.file_kinds import SEPARATORS, head, require_kind


def found_files(name: str, pattern: str | None, root: str | None) -> list[Path]:
    """The files of a name or glob, in the order of their names.

    Args:
        name: The option that names them, for the error.
        pattern: A file, or a pattern with `*`, `?` or `[...]`; None = no files.
        root: Folder in which a relative one is looked up; None = the current one.

    Raises:
        ValueError: If there is none.
    """
    if pattern is None:
        return []
    folder = Path(root or ".").expanduser()
    if not folder.is_dir():
        raise ValueError(f"data.root: no such folder: {root}")
    path = folder / Path(str(pattern)).expanduser()
    if path.is_file():
        return [path]
    if has_magic(str(path)):
        each = (folder / name for name in glob(str(Path(str(pattern)).expanduser()), root_dir=folder, recursive=True))
        if files := sorted(found for found in each if found.is_file()):
            return files
        raise ValueError(f"{name}: no file matches {path}")
    raise ValueError(f"{name}: {'not a file' if path.exists() else 'no such file'}: {path}")


@dataclass(frozen=True)
class TableFile:
    """One file of a table.

    Attributes:
        name: The option that names it, for errors.
        path: The file.
        kind: csv, jsonl, python (a literal a line) or parquet.
        columns: Names of its columns.
        separator: Between the fields of a line (csv).
        header: Whether the first line names the columns (csv).
        quoted: Whether fields may stand in double quotes (csv).
        typed: Columns whose values are text for certain, whatever they look like.
        frame: The rows, where they are in memory.
    """

    name: str
    path: Path
    kind: str
    columns: tuple[str, ...]
    separator: str = ","
    header: bool = True
    quoted: bool = True
    typed: frozenset[str] = frozenset()
    frame: pl.DataFrame | None = None

    @classmethod
    def open_all(cls, name: str, pattern: str, root: str | None, header: bool = True) -> list["TableFile"]:
        """Looks at all files of a pattern; raises ValueError as `found_files` and `open`."""
        return [cls.open(name, path, header) for path in found_files(name, pattern, root)]

    @classmethod
    def open(
        cls, name: str, path: Path, header: bool = True, separator: str | None = None, quoted: bool = True
    ) -> "TableFile":
        """Looks at the beginning of a file; ValueError if it is no table, or empty."""
        kinds = ("csv", "jsonl", "python", "parquet") if separator is None else ("csv", "recbole", "movielens")
        kind = require_kind(name, path, *kinds)
        if kind == "parquet":
            try:
                schema = pl.scan_parquet(path, glob=False).collect_schema()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise ValueError(f"{name}: cannot read {path.name}: {str(error).splitlines()[0]}") from error
            typed = frozenset(column for column, dtype in schema.items() if not dtype.is_numeric())
            return cls(name, path, kind, tuple(schema), typed=typed)
        start = head(name, path).decode(errors="replace").removeprefix("\ufeff").lstrip("\r\n ")
        line = start.partition("\n")[0].rstrip("\r")
        if kind in ("jsonl", "python"):
            rows = [_object(row, kind) for row in start.split("\n")[:100]]
            columns = tuple(dict.fromkeys(column for row in rows for column in row))
            if not columns:
                raise ValueError(f"{name}: {path.name}:1: not a line of JSON: {shown(line)}")
            text = frozenset(column for row in rows for column, value in row.items() if isinstance(value, str))
            return cls(name, path, kind, columns, typed=text)
        separator = separator or max(SEPARATORS, key=line.count)
        fields = next(csv.reader([line], delimiter=separator, quoting=_quoting(quoted)))
        columns = tuple(field if field and header else str(number) for number, field in enumerate(fields, 1))
        if len(set(columns)) < len(columns):
            again = next(column for at, column in enumerate(columns) if column in columns[:at])
            raise ValueError(f"{name}: {path.name}:1: two columns are called {again!r}")
        return cls(name, path, "csv", columns, separator, header, quoted)

    def scan(self, columns: Sequence[str]) -> pl.LazyFrame:
        """Some columns, lazily: of their own types from Parquet, else of text; blank lines are left out."""
        if self.frame is not None:
            return self.frame.lazy().select(columns)
        if self.kind == "parquet":
            frame = pl.scan_parquet(self.path, glob=False).select(columns)
            return frame.with_columns(cs.binary().cast(pl.String), cs.float().fill_nan(None))  # as pandas writes them
        if self.kind == "python":
            return self._literals(columns).lazy()
        if self.kind == "jsonl":
            return pl.scan_ndjson(escape(str(self.path)), schema=dict.fromkeys(columns, pl.String))
        frame = pl.scan_csv(
            self.path,
            glob=False,
            infer_schema=False,
            separator=self.separator,
            has_header=self.header,
            new_columns=list(self.columns),
            quote_char='"' if self.quoted else None,
        )
        return frame.filter(~pl.all_horizontal(pl.all().is_null())).select(columns)

    def require_flat(self, option: str, column: str) -> None:
        """Refuses a column of Parquet that holds lists, structs or the like, with ValueError."""
        dtype = self.scan([column]).collect_schema()[column] if self.kind == "parquet" else pl.String()
        if dtype.is_nested() or dtype in (pl.Time, pl.Duration):
            raise ValueError(f"{option} must be a column of texts, numbers or dates, got {column} of {dtype}")

    def line(self, row: int) -> str:
        """`file:line` of a row (0-based), as an editor counts; `file, row N` where there are no lines."""
        if self.kind == "parquet" or self.frame is not None:
            return f"{self.path.name}, row {row + 1}"
        with _text(self.path) as file:
            if self.kind in ("jsonl", "python"):
                lines: Iterator[int] = (number for number, line in enumerate(file, 1) if line.strip())
            else:
                reader = self._reader(file)
                lines = (reader.line_num for fields in reader if any(fields))
                next(lines if self.header else iter([0]))
            return f"{self.path.name}:{next(number for at, number in enumerate(lines) if at == row)}"

    def fault(self, error: Exception) -> str:
        """One line for an error of reading: file and line where one is at fault, else the reader's own words."""
        where = self.path.name
        try:
            with _text(self.path, errors="strict") as file:
                if self.kind == "jsonl":
                    for number, line in enumerate(file, 1):
                        if line.strip() and not _object(line):
                            return f"{where}:{number}: not a line of JSON: {shown(line)}"
                elif self.kind == "csv":
                    reader = self._reader(file, strict=True)
                    for fields in reader:
                        if len(fields) > len(self.columns):
                            at = f"{where}:{reader.line_num}"
                            return f"{at}: {len(fields)} fields, where there are {len(self.columns)} columns"
                    file.seek(0)
                    odd = (number for number, line in enumerate(file, 1) if line.count('"') % 2)
                    if "malformed" in str(error) and (number := next(odd, 0)):
                        return f"{where}:{number}: a quote inside a field: write it twice, and quotes around the field"
        except UnicodeDecodeError:
            return _undecodable(self.path)
        except csv.Error as wrong:
            return f"{where}:{reader.line_num}: {wrong} (a quote that is never closed?)"
        except (OSError, EOFError, zlib.error) as wrong:
            return f"cannot read {where}: {wrong}"
        return f"cannot read {where}: {str(error).splitlines()[0]}"

    def _literals(self, columns: Sequence[str]) -> pl.DataFrame:
        """The rows of a file of Python literals, lists and the like as JSON."""
        values: dict[str, list[str | None]] = {column: [] for column in columns}
        for _, row in objects(self.name, self.path, self.kind):
            for column, kept in values.items():
                value = row.get(column)
                kept.append(value if value is None or isinstance(value, str) else json.dumps(value))
        return pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String))

    def _reader(self, file: TextIO, strict: bool = False) -> Any:
        csv.field_size_limit(sys.maxsize)
        return csv.reader(file, delimiter=self.separator, quoting=_quoting(self.quoted), strict=strict)


def collected(frame: pl.LazyFrame, files: Sequence[TableFile]) -> pl.DataFrame:
    """The rows of a frame that reads files, streamed; ValueError, with file and line, if one cannot be read."""
    try:
        return frame.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        for file in files:
            try:
                file.scan(file.columns).select(pl.len(), pl.all().count().name.suffix(" there")).collect()
            except (pl.exceptions.PolarsError, OSError) as wrong:
                raise ValueError(f"{file.name}: {file.fault(wrong)}") from error
        raise ValueError(f"{files[0].name}: {str(error).splitlines()[0]}") from error


def word_lines(name: str, path: Path) -> tuple[TableFile, pl.DataFrame]:
    """A text file, and of each line with words its `row` (0-based), first word (`user`) and the others (`values`)."""
    file = TableFile(name, path, "csv", ("line",), separator="\x01", header=False, quoted=False)
    lines = collected(file.scan(["line"]).with_row_index("row"), [file])
    words = lines["line"].str.extract_all(r"[^ \t\r\f\v]+")
    there = words.list.len() > 0
    frame = lines.select("row", user=words.list.first(), values=words.list.slice(1))
    return file, frame.filter(there)


def objects(name: str, path: Path, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON lines or Python literals, by the numbers of their lines; ValueError for another."""
    try:
        with _text(path, errors="strict" if kind == "jsonl" else "replace") as file:
            for number, line in enumerate(file, 1):
                if row := _object(line, kind):
                    yield number, row
                elif line.strip():
                    what = "a line of JSON" if kind == "jsonl" else "a Python literal"
                    raise ValueError(f"{name}: {path.name}:{number}: not {what}: {shown(line)}")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: {_undecodable(path)}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: cannot read {path.name}: {error}") from error


def shown(text: str) -> str:
    """A quotable beginning of a text of any length."""
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _quoting(quoted: bool) -> Any:
    return csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _object(line: str, kind: str = "jsonl") -> dict[str, Any]:
    """The object of a line of JSON or Python; an empty one where it is none."""
    try:
        found = json.loads(line, parse_constant=_refuse) if kind == "jsonl" else ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path, errors: str = "replace") -> TextIO:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return cast(TextIO, (gzip.open if gzipped else open)(path, "rt", encoding="utf-8-sig", errors=errors, newline=""))


def _undecodable(path: Path) -> str:
    """Where the first line is that is no UTF-8."""
    with _text(path) as file:
        number = next((number for number, line in enumerate(file, 1) if "\ufffd" in line), 1)
    return f"{path.name}:{number}: not UTF-8 text: save the file as UTF-8 (iconv -t UTF-8)"
