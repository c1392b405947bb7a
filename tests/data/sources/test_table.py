"""The table reader: every form of file gives the same events, ids come back as they were, and what is refused."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from promise.data.interactions import Interactions
from promise.data.sources.table import Table
from tests.data.sources.event_files import EVENTS, EXPECTED, NAMED, csv_of, read


def histories(table: Interactions) -> dict[str, list[Any]]:
    """User -> ids of the items, in time order."""
    items = table.items["id"].gather(table.events["item"])
    found: dict[str, list[Any]] = {}
    for user, item in zip(table.users.gather(table.events["user"]), items, strict=True):
        found.setdefault(user, []).append(item)
    return found


def parquet_of(rows: list[dict[str, Any]], folder: Path, **columns: Any) -> bytes:
    pl.DataFrame(rows).with_columns(**columns).write_parquet(folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def test_every_form_gives_the_same_events(tmp_path: Path) -> None:
    text = csv_of(EVENTS, "userId,movieId,timestamp")
    lines = "".join(json.dumps(row) + "\n" for row in NAMED)
    seconds = pl.from_epoch("timestamp", "s")
    forms: dict[str, str | bytes] = {
        "a.csv": text,
        "b.tsv": text.replace(",", "\t"),
        "semicolons.txt": text.replace(",", ";"),
        "crlf.csv": b"\xef\xbb\xbf" + text.replace("\n", "\r\n\r\n").encode(),
        "packed.csv.gz": gzip.compress(text.encode()),
        "quoted.csv": csv_of([(f'"{user}"', item, f'"{time}.0"') for user, item, time in EVENTS]),
        "lines.jsonl": lines.replace("\n", "\n\n"),
        "lines.json.gz": gzip.compress(lines.encode()),
        "literals.json": "".join(f"{row}\n" for row in NAMED),
        "whole.parquet": parquet_of(NAMED, tmp_path),
        "floats.parquet": parquet_of(NAMED, tmp_path, timestamp=pl.col("timestamp").cast(pl.Float64)),
        "binary.parquet": parquet_of(NAMED, tmp_path, item_id=pl.col("item_id").cast(pl.Binary)),
        "[1] blanks, (2).csv": csv_of([(*row, 1, 2) for row in EVENTS], "user,item,time,,"),
        "[1].jsonl": lines,
        "[1].parquet": parquet_of(NAMED, tmp_path),
        "dates.parquet": parquet_of(NAMED, tmp_path, timestamp=seconds, item_id=pl.col("item_id").cast(pl.Categorical)),
    }
    for name, content in forms.items():
        table = read(tmp_path, {name: content})
        assert histories(table) == EXPECTED, name
        assert table.items["id"].to_list() == ["a", "c", "b7"] and table.dropped_users == 0


def test_several_files_of_several_forms(tmp_path: Path) -> None:
    files = {
        "part-1.csv": csv_of(EVENTS[:2]),
        "part-2.csv": csv_of([row[::-1] for row in EVENTS[2:4]], "time,item,user"),
    }
    files["part-3.csv"] = "\n".join(
        json.dumps(dict(zip(("user", "item", "time"), row, strict=True))) for row in EVENTS[4:]
    )
    (root := tmp_path / "[1]").mkdir()
    for folder in (tmp_path, root):
        assert histories(read(folder, files, events="part-*.csv")) == EXPECTED
    assert histories(read(root, {}, events=str(tmp_path / "part-*.csv"))) == EXPECTED
    rows = [(user, item) for user, items in EXPECTED.items() for item in items]
    halves: dict[str, str | bytes] = {"1.csv": csv_of(rows[:4], "user,item"), "2.csv": csv_of(rows[4:], "user,item")}
    assert histories(read(tmp_path, halves, events="[12].csv")) == EXPECTED  # no times: one file after the other


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["31", "7", "-2"], [-2, 7, 31]),
        (["31", "7", "007"], ["7", "31", "007"]),
        (["31", "7", "x"], ["7", "x", "31"]),
        (["31.0", "7.0", "9"], [7, 9, 31]),
        (["v1.0", "1.0", " é ☕"], ["1.0", "v1.0", "é ☕"]),
        (["nan", "7", "null"], ["7", "nan", "null"]),
        (["99999999999999999999", "1", "2"], ["1", "2", "99999999999999999999"]),
    ],
)
def test_ids_come_back_as_they_were(tmp_path: Path, ids: list[str], expected: list[Any]) -> None:
    table = read(tmp_path, csv_of([("u", item, time) for time, item in enumerate(ids)]))
    assert table.items["id"].to_list() == expected
    as_text = "".join(json.dumps({"user": 1, "item": item, "time": time}) + "\n" for time, item in enumerate("321"))
    assert histories(read(tmp_path, {"t.jsonl": as_text})) == {"1": ["3", "2", "1"]}
    assert histories(
        read(tmp_path, {"n.jsonl": as_text.replace('"3"', "3.0").replace('"2"', "2.0").replace('"1"', "1.0")})
    ) == {"1": [3, 2, 1]}


def test_integers_are_the_same_where_one_file_has_them_as_floats(tmp_path: Path) -> None:
    numbers = {"ann": "1", "bob": "2", "a": "10", "b7": "20", "c": "30"}
    rows = [(numbers[user], numbers[item], time) for user, item, time in EVENTS]
    floats = [(f"{user}.0", f"{item}.0", time) for user, item, time in rows[3:]]
    files: dict[str, str | bytes] = {"1.csv": csv_of(rows[:3]), "2.csv": csv_of(floats)}
    expected = {numbers[user]: [int(numbers[item]) for item in items] for user, items in EXPECTED.items()}
    assert histories(read(tmp_path, files, events="[12].csv")) == expected
    assert histories(read(tmp_path, csv_of(rows))) == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_reader_is_the_plain_one(tmp_path: Path, seed: int) -> None:
    """Sorted by time, stable; then repeats, then the k-core, by dictionaries and loops."""
    draw = random.Random(seed)
    rows = [(f"u{draw.randrange(9)}", draw.randrange(12), draw.randrange(20)) for _ in range(130)]
    for repeats in ("keep", "first", "last"):
        plain: dict[str, list[int]] = {}
        for user, item, _ in sorted(rows, key=lambda row: row[2]):
            plain.setdefault(user, []).append(item)
        if repeats == "first":
            plain = {user: list(dict.fromkeys(items)) for user, items in plain.items()}
        if repeats == "last":
            plain = {user: list(dict.fromkeys(items[::-1]))[::-1] for user, items in plain.items()}
        before = len(plain)
        while True:
            kept = {user: items for user, items in plain.items() if len(items) >= 5}
            flat = [item for items in kept.values() for item in items]
            kept = {user: [item for item in items if flat.count(item) >= 5] for user, items in kept.items()}
            if kept == plain:
                break
            plain = kept
        table = read(tmp_path, csv_of(rows), repeats=repeats, min_user_events=5, min_item_events=5)
        assert histories(table) == {user: plain[user] for user in sorted(plain)}
        assert table.dropped_users == before - len(plain)
        assert table.preparation["steps"][-1]["events"] == table.events.height
        # Neither the order of users in the file nor the form of the file moves a number.
        assert read(tmp_path, csv_of(sorted(rows, key=lambda row: row[0])), repeats=repeats, min_user_events=5,
                    min_item_events=5).fingerprint() == table.fingerprint()  # fmt: skip


def test_ties_stay_or_are_shuffled_always_alike(tmp_path: Path) -> None:
    rows = [(f"u{user}", item, item // 10) for user in range(20) for item in range(30)]
    kept, shuffled = read(tmp_path, csv_of(rows)), read(tmp_path, csv_of(rows), ties="shuffle")
    assert set(map(tuple, histories(kept).values())) == {tuple(range(30))}
    found = histories(shuffled)
    assert len(set(map(tuple, found.values()))) == 20
    for items in found.values():
        assert [item // 10 for item in items] == [item // 10 for item in range(30)]
    again = read(tmp_path, csv_of(random.Random(0).sample(rows, len(rows))), ties="shuffle")
    assert again.fingerprint() == shuffled.fingerprint()
    assert read(tmp_path, csv_of(rows), ties="shuffle", seed=1).fingerprint() != shuffled.fingerprint()


@pytest.mark.parametrize(
    ("stamps", "unit", "note"),
    [
        ([1260759144, 1260759150, 1260759179], "seconds", None),
        ([1260759144000, 1260759150500, 1260759179000], "milliseconds", None),
        ([1260759144000000, 1260759150000000, 1260759179000001], "microseconds", None),
        ([1260759144000000000, 1260759150000000000, 1260759179000000001], "nanoseconds", None),
        ([1260759144.25, 1260759144.5, 1260759179.0], "microseconds", None),
        (["2009-12-14", "2009-12-14T02:52:24Z", "2009-12-14 02:52:24.5"], "microseconds", None),
        ([20091214, 20091215, 20100101], "microseconds", None),
        (["2009-12-14 00:00:00+00", "2009-12-14 02:52:24+0030", "2009-12-14T02:52:24.5-03:30"], "microseconds", None),
        ([1, 2, 5], None, "the times are no dates"),
        ([2**63 - 1] * 3, "nanoseconds", "are all of them right"),
        (
            [1260759144, 1260759150, 1260759179000],
            "seconds",
            "to 9999-12-31T23:59:59: are all of them right",
        ),
        (
            ["2009-12-14", "2009-12-15", "9999-12-31"],
            "microseconds",
            "to 9999-12-31T00:00:00: are all of them right",
        ),
        ([1260759168 + 128 * step**2 for step in range(30)], "seconds", "rounded to single precision"),
        ([1260759179, 1260759150, 1260759144], "seconds", "newest first"),
    ],
)
def test_times_of_any_form(tmp_path: Path, stamps: list[Any], unit: str | None, note: str | None) -> None:
    table = read(tmp_path, csv_of([("u", number, stamp) for number, stamp in enumerate(stamps)]))
    order = list(range(len(stamps)))
    assert histories(table) == {"u": order[::-1] if note == "newest first" else order}
    assert table.preparation["times"]["unit"] == unit
    assert unit is None or stamps[0] == 2**63 - 1 or table.preparation["times"]["first"].startswith("2009-12-14")
    assert [each for each in table.preparation["notes"] if note and note in each] == table.preparation["notes"]


def test_times_of_files_that_hold_them_in_several_forms(tmp_path: Path) -> None:
    rows = [{"user": user, "item": item, "time": time} for user, item, time in EVENTS]
    whole, seconds = csv_of(EVENTS[:3]), pl.from_epoch("time", "s")
    half = {"1.csv": whole, "2.csv": csv_of([(*row[:2], f"{row[2]}.5") for row in EVENTS[3:]])}
    assert histories(read(tmp_path, half, events="?.csv")) == EXPECTED
    stamps = ["1970-01-01 00:00:30", "1970-01-01 00:00:05", "1970-01-01T00:00:10Z"]
    dates: dict[str, str | bytes] = {
        "3.csv": csv_of([(*row[:2], stamp) for row, stamp in zip(EVENTS, stamps, strict=False)]),
        "4.parquet": parquet_of(rows[3:5], tmp_path, time=seconds.dt.replace_time_zone("UTC")),
        "5.parquet": parquet_of(rows[5:], tmp_path, time=seconds.cast(pl.Datetime("ns"))),
    }
    assert histories(read(tmp_path, dates, events="[345].*")) == EXPECTED
    words = r"^data\.time must have one form in all files, got dates in 5\.parquet and numbers in 1\.csv$"
    with pytest.raises(ValueError, match=words):
        read(tmp_path, {**half, **dates}, events="[15].*")
    assert histories(read(tmp_path, {}, events="[25].*", min_user_events=3)) == {"bob": ["a", "a", "c"]}


def test_numbers_of_parquet_that_are_none(tmp_path: Path) -> None:
    rows = [{"user": 1, "item": float(item), "time": 9.0 - item} for item in range(1, 5)]
    rows.append({"user": 1, "item": float("nan"), "time": 1.0})
    table = read(tmp_path, {"a.parquet": parquet_of(rows, tmp_path)})
    assert histories(table) == {"1": [4, 3, 2, 1]}
    assert [step["events"] for step in table.preparation["steps"]] == [5, 4]


def test_newest_first_turns_ties_too(tmp_path: Path) -> None:
    rows = [("u", "c", 9), ("v", "c", 8), ("u", "b", 5), ("u", "a", 5), ("v", "b", 5), ("v", "a", 5)]
    assert histories(read(tmp_path, csv_of(rows))) == {"u": ["a", "b", "c"], "v": ["a", "b", "c"]}


def test_the_catalogue_has_the_items_with_events_and_what_is_said_of_them(tmp_path: Path) -> None:
    items = 'item_id,brand,title,category\nc,,"Sea, the",x|y\nb7,Bee, B ,\nzzz,no,no,no\n'
    table = read(tmp_path, {"e.csv": csv_of(EVENTS), "i.csv": items}, items="i.csv")
    assert table.items.drop("order").rows() == [
        ("a", None, None, None), ("c", "Sea, the. x|y", "Sea, the", "x|y"), ("b7", "B. Bee", "B", None)
    ]  # fmt: skip
    assert table.preparation["notes"][1:] == [
        "1 of 3 items have no row in the table of items, first 'a'",
        "1 rows of the table of items have no event that is kept",
    ]
    chosen = Table("e.csv", items="i.csv", item_text=["brand", "title"], item_category="brand", root=str(tmp_path))
    assert chosen.read().items.select("text", "title", "category").rows() == [
        (None, None, None), ("Sea, the", None, None), ("Bee. B", "Bee", "Bee")
    ]  # fmt: skip
    lists = [{"id": "c", "title": None, "categories": [["x", "y"], [" z"]]}, {"id": "a", "title": "é"}]
    for name, content in {
        "l.jsonl": "\n".join(map(json.dumps, lists)).encode(),
        "l.parquet": parquet_of([{**lists[0], "categories": ["x", "y", " z"]}, {"id": "a", "title": "é"}], tmp_path),
    }.items():
        texts = read(tmp_path, {"e.csv": csv_of(EVENTS), name: content}, items=name).items["text"].to_list()
        assert texts == ["é", "x. y. z", None]


def test_items_by_the_column_of_the_events_and_rows_that_are_there_twice(tmp_path: Path) -> None:
    files = {
        "e.csv": csv_of(EVENTS, "customer_no,thing,bought_at"),
        "i.csv": "id,thing,product_title,price\n1,c,Sea,2\n2,b7,Bee,3\n3,c,Sea,4\n",
    }
    items = read(tmp_path, files, items="i.csv", item="thing").items
    assert items.select("id", "title").rows() == [("a", None), ("c", "Sea"), ("b7", "Bee")]


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    items = "file,id,row,index\na,A,1,9\nb7,B,2,9\nc,C,3,9\n"
    options = {"items": "i.csv", "item_id": "file", "item_text": ["id", "row", "index"]}
    table = read(tmp_path, {"e.csv": csv_of(EVENTS), "i.csv": items}, **options)
    assert table.items["text"].to_list() == ["A. 1. 9", "C. 3. 9", "B. 2. 9"]
    with pytest.raises(ValueError, match=r"i\.csv:2: index must be a number or a date, all rows alike, got 'soon'"):
        read(tmp_path, {"i.csv": csv_of([(1, 2, "soon")], "user,item,index")}, time="index")


def test_the_beginning_of_a_file_is_cut_at_ends_of_lines_alone(tmp_path: Path) -> None:
    numbered = csv_of([(at, *row) for at, row in enumerate(EVENTS)], ",user,item,time").replace(",", "\t")
    assert histories(read(tmp_path, {"index.tsv": numbered})) == EXPECTED  # a name that is empty stands for its place
    odd = "".join(json.dumps(row | {"note": "a\u2028b\x85"}, ensure_ascii=False) + "\n" for row in NAMED)
    assert histories(read(tmp_path, {"odd.jsonl": odd})) == EXPECTED


def test_a_file_without_a_header(tmp_path: Path) -> None:
    bare = csv_of(EVENTS).partition("\n")[2]
    assert histories(read(tmp_path, bare, header=False, user="1", item="2", time="3")) == EXPECTED
    with pytest.raises(ValueError, match=r"data\.user must be one of the columns 1, 2, 3, got none, and no name"):
        read(tmp_path, bare, header=False)
    files: dict[str, str | bytes] = {"e.csv": bare, "i.csv": "a,Alpha\nb7,Beta\nc,Gamma\n"}
    numbers = {"user": 1, "item": 2, "time": 3, "item_id": 1, "item_text": 2}  # as typed: data.item_text=2
    table = read(tmp_path, files, header=False, items="i.csv", **numbers)
    assert histories(table) == EXPECTED and table.items["text"].to_list() == ["Alpha", "Gamma", "Beta"]


def test_events_without_user_or_item_are_counted(tmp_path: Path) -> None:
    table = read(tmp_path, csv_of([*EVENTS, ("", "a", 3), ("ann", " ", 4)]))
    assert histories(table) == EXPECTED
    assert table.preparation["steps"] == [
        {"step": "as read", "users": 2, "items": 3, "events": 8},
        {"step": "with a user and an item", "users": 2, "items": 3, "events": 6},
    ]


def test_the_fingerprint_is_of_contents_and_options(tmp_path: Path) -> None:
    read(tmp_path, {"a.csv": csv_of(EVENTS), "b.csv": csv_of(EVENTS), "c.csv": csv_of(EVENTS[::-1])})

    def fingerprint(events: str, **options: Any) -> str:
        return Table(events, root=str(tmp_path), **options).fingerprint()

    assert fingerprint("a.csv") == fingerprint("b.csv") != fingerprint("c.csv")
    variants = [{"ties": "shuffle"}, {"repeats": "last"}, {"min_item_events": 2}, {"item": "user"}, {"items": "b.csv"}]
    assert len({fingerprint("a.csv"), *(fingerprint("a.csv", **each) for each in variants)}) == 6
    assert fingerprint("[ab].csv", items="c.csv") != fingerprint("a.csv", items="[bc].csv")  # the same files in turn
    assert fingerprint("[ab].csv") != fingerprint("a.csv", items="b.csv")
