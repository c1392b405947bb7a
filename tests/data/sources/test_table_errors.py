"""What the table reader refuses: one clear line for each, with the file and the line where there is one."""

import gzip
import random
import re
from datetime import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.data.sources.event_files import EVENTS, csv_of, read

LONG = csv_of([(random.random(), 1, 2) for _ in range(9999)])
BAD: list[tuple[str | bytes, str]] = [
    ("", "data.events: events.csv is empty"),
    ("user,item,time\n", "data.events: events.csv has no event with a user and an item"),
    ("u,i,t\n1,2,3\n", "data.user must be one of the columns u, i, t, got none, and no name is a usual one"),
    (csv_of(EVENTS) + "\nbob,c,soon\n", "events.csv:9: time must be a number or a date, all rows alike, got 'soon'"),
    (csv_of([("a", "b", "06/01/2014")]), "got '06/01/2014', whose day or month may be first: write 2014-06-30"),
    (csv_of([("a\nb", 1, 2)]).replace("a\nb", '"a\nb"') + "x,c\n", "events.csv:4: time must be a number or a date"),
    (csv_of(EVENTS) + "bob,c,7,8\n", "events.csv:8: 4 fields, where there are 3 columns"),
    (csv_of(EVENTS) + 'bob,"c,7\n', "events.csv:8: unexpected end of data (a quote that is never closed?)"),
    (csv_of([("x" * 200_000, 1, 2), ("b", 1, 2)]) + "bob,c,7,8\n", "events.csv:4: 4 fields, where there are 3 columns"),
    ('user,item,time\nann,19" pipe,7\n', "events.csv:2: a quote inside a field: write it twice"),
    ("user,item,time,item\na,b,1,c\n", "data.events: events.csv:1: two columns are called 'item'"),
    (b"BZh91AY&SY", "data.events: events.csv is packed by another program than gzip: unpack it first"),
    (b"ARROW1\0\0\xff\0\0\0", "data.events: events.csv is no text file"),
    ('\ufeff{"user": 1, "item": 2, "time": 3}\n', "data.events: events.csv begins with a byte order mark"),
    (csv_of(EVENTS).encode() + b"caf\xe9,c,7\n", "data.events: events.csv:8: not UTF-8 text"),
    (csv_of(EVENTS).encode("utf-16"), "data.events: events.csv is UTF-16 text: make it UTF-8 first"),
    (csv_of(EVENTS).replace("\n", "\r").encode(), "data.events: events.csv ends its lines in carriage returns alone"),
    (csv_of(EVENTS).encode("utf-16-le"), "data.events: events.csv is UTF-16 text: make it UTF-8 first"),
    (b"\0\1\2\3" * 9, "data.events: events.csv is no text file"),
    (b"PK\3\4rest", "data.events: events.csv is a zip archive: unpack it first"),
    (gzip.compress(csv_of(EVENTS * 9).encode(), mtime=0)[:-9], "data.events: cannot read events.csv"),
    (gzip.compress(LONG.encode(), mtime=0)[:-9], "cannot read events.csv"),
    (b"PAR1 and no more", "data.events: cannot read events.csv"),
    ('[{"user": 1}]', "data.events: events.csv is one JSON document: it must hold one object a line"),
    ('{\n    "0": [\n', "data.events: events.csv is one JSON document"),
    ('{"user": 1, "item": 2, "time": NaN}\n', "data.events: events.csv:1: not a line of JSON"),
    ('{"user": 1, "item": 2, "time": 3}\n\n{"user": 1, "it\n', 'events.csv:3: not a line of JSON: \'{"user": 1, "it'),
    ('{"user": 1, "item": 2, "time": 3}\n{"user": 1, "item": 2}\n', "events.csv:2: time must be a number"),
    ("7 1 2 3\n8 4 5 6 7\n", "events.csv looks like one user per line (user, then items): use data=s3rec"),
    ("user_id:token\titem_id:token\n", "events.csv looks like an atomic file of RecBole: use data=recbole"),
    ("1::1193::5::978300760\n", "events.csv looks like a file of MovieLens-1M"),
    ("some words\nand more\n", "events.csv is no table"),
    (csv_of(EVENTS[:3]), "no user is left: users need >= 3 events and items >= 1; the longest of 2 users has 2"),
    (csv_of([("u", "i", 1)]), "the longest of 1 users has 1, the most frequent of 1 items 1"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD, ids=lambda value: str(value)[:20])
def test_bad_events_get_one_clear_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("", "data.items: i.csv is empty"),
        ("id,title\n", "data.items: i.csv has no rows"),
        ("id,title\na,1\n\nc,2\na,3\n", "data.items: i.csv:5: item 'a' has a row in i.csv:2 too, which says"),
        ("id,title\na,1\n,2\n", "data.items: i.csv:3: the item has no id"),
        ("id,title\na," + "x" * 200_000 + "\na,b\n", "i.csv:3: item 'a' has a row in i.csv:2 too"),
        ("key,title\na,1\n", "data.item_id must be one of the columns key, title, got none"),
        ("id,title\n1,2\n", "no item of the events has a row there: events have 'a', items 1"),
        ('{"id": "a", "title": NaN}\n', "data.items: i.csv:1: not a line of JSON"),
        ("id,title\na,caf\xe9\n".encode("latin-1"), "data.items: i.csv:2: not UTF-8 text"),
    ],
)
def test_bad_items_get_one_clear_line(tmp_path: Path, items: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read(tmp_path, {"e.csv": csv_of(EVENTS), "i.csv": items}, items="i.csv")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "who"}, "data.user must be one of the columns user, item, time, got who"),
        ({"user": "item"}, "data.user, data.item and data.time must be different columns, got item, item, time"),
        ({"events": "none.csv"}, "data.events: no such file: {folder}/none.csv"),
        ({"events": "*.tsv"}, "data.events: no file matches {folder}/*.tsv"),
        ({"items": "none.csv"}, "data.items: no such file: {folder}/none.csv"),
        ({"items": "events.csv", "item_text": "name"}, "data.item_text must be one of the columns user, item, time"),
        ({"root": "nowhere"}, "data.root: no such folder: nowhere"),
        ({"min_user_events": 2}, "data.min_user_events must be an integer >= 3, got 2"),
        ({"min_item_events": 0}, "data.min_item_events must be an integer >= 1, got 0"),
        ({"seed": -1}, "data.seed must be an integer >= 0, got -1"),
        ({"repeats": "all"}, "data.repeats must be keep, first, last, got all"),
        ({"header": "no"}, "data.header must be true or false, got no"),
        ({"ties": "random"}, "data.ties must be file, shuffle, got random"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message.format(folder=tmp_path))):
        read(tmp_path, csv_of(EVENTS), **options)


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [("item", [[1], [2]], "List"), ("user", [{"a": 1}] * 2, "Struct"), ("time", [time(1), time(2)], "Time")],
)
def test_columns_of_parquet_that_hold_more_than_a_value(tmp_path: Path, key: str, values: list[Any], said: str) -> None:
    frame = pl.DataFrame({"user": ["a", "b"], "item": ["c", "d"], "time": [1, 2], key: values})
    frame.write_parquet(tmp_path / "x.parquet")
    words = rf"^data\.{key} must be a column of texts, numbers or dates, got {key} of {said}"
    with pytest.raises(ValueError, match=words):
        read(tmp_path, {}, events="x.parquet")
    words = rf"^data\.item_id must be a column of texts, numbers or dates, got {key} of {said}"
    with pytest.raises(ValueError, match=words):
        read(tmp_path, csv_of(EVENTS), items="x.parquet", item_id=key)


def test_text_of_parquet_that_is_no_utf8(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["a", "c"], "title": [b"a", b"\xff"]}).write_parquet(tmp_path / "i.parquet")
    with pytest.raises(ValueError, match=r"^data\.items: cannot read i\.parquet: invalid utf8$"):
        read(tmp_path, csv_of(EVENTS), items="i.parquet")


def test_another_file_of_items_without_the_columns(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"e.csv": csv_of(EVENTS), "i1.csv": "id,title\na,x\n", "i2.csv": "id,name\nc,x\n"}
    words = r"^data\.item_text must be one of the columns id, name of i2\.csv, got title$"
    with pytest.raises(ValueError, match=words):
        read(tmp_path, files, items="i?.csv")


def test_another_file_of_a_pattern_without_the_columns(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"1.csv": csv_of(EVENTS), "2.csv": csv_of(EVENTS, "user,product,time")}
    with pytest.raises(
        ValueError, match=r"data\.item must be one of the columns user, product, time of 2\.csv, got item"
    ):
        read(tmp_path, files, events="?.csv")
