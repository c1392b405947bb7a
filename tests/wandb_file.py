"""Reads an offline W&B run back from its file, as `wandb sync` would."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32768, 7


def records(path: Path) -> Iterator[Any]:
    """Read the records of a .wandb file: blocks of LevelDB's log format after a header."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, parts = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        if at + HEADER + length > len(content):
            return  # still being written
        parts += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(parts)
            parts = b""


def finished(path: Path) -> list[Any]:
    """Wait for W&B's own process to have written the last record: it may do so after `finish`."""
    for _ in range(100):
        found = list(records(path))
        if any(record.HasField("exit") for record in found):
            return found
        time.sleep(0.1)
    raise TimeoutError(f"the run never ended: {path}")


def items(message: Any) -> dict[str, Any]:
    """The entries of a record as a dictionary."""
    return {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in message}
