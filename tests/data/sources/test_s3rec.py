"""The S3-Rec reader: what it accepts, what it makes of it, and one clear line for everything else."""

import gzip
import json
import random
import re
from pathlib import Path

import pytest

from promise.data.interactions import Interactions
from promise.data.sources.s3rec import S3Rec

REAL = Path(__file__).parents[4] / "shared" / "data"


def read(folder: Path, sequences: str | bytes, items: str | bytes | list | None = None) -> Interactions:
    """Writes the files and reads them."""
    (folder / "s.txt").write_bytes(sequences.encode() if isinstance(sequences, str) else sequences)
    if isinstance(items, list):
        items = "\n".join(map(json.dumps, items))
    if items is not None:
        (folder / "i.jsonl").write_bytes(items.encode() if isinstance(items, str) else items)
    return S3Rec("s.txt", None if items is None else "i.jsonl", str(folder)).read()


def rows(table: Interactions) -> dict[str, list[int]]:
    """User token -> item ids of the file, in time order."""
    ids = table.items["id"].to_list()
    found: dict[str, list[int]] = {user: [] for user in table.users}
    for user, item, time in table.events.iter_rows():
        assert time == len(found[table.users[user]])
        found[table.users[user]].append(ids[item])
    return found


def test_odd_but_legal_files(tmp_path):
    plain = rows(read(tmp_path, "ann 1 2 3\nbob 4 5 6\n"))
    assert rows(read(tmp_path, "ann 1 2 3\nbob 4 5 6")) == plain
    assert rows(read(tmp_path, "\r\nann 1 2 3\r\n \r\nbob 4 5 6\r\n")) == plain
    assert rows(read(tmp_path, b"\xef\xbb\xbfann\t1\t2\t3\n\n\n  bob  4 5\t 6  \n")) == plain
    assert rows(read(tmp_path, "ann 01 2 0000000000000000000000003\nbob 4 5 6\n")) == plain
    assert rows(read(tmp_path, gzip.compress(b"ann 1 2 3\nbob 4 5 6\n", mtime=0))) == plain
    assert rows(read(tmp_path, "-1 1 2 3\ncafé☕ 4 5 6\n")) == {"-1": [1, 2, 3], "café☕": [4, 5, 6]}


def test_short_users_are_dropped_and_counted_with_the_items_that_only_they_have(tmp_path):
    table = read(tmp_path, "a 1 2\nb 2 3 4\nc\nd 9\n")
    assert rows(table) == {"b": [2, 3, 4]}
    assert table.items["id"].to_list() == [2, 3, 4]
    assert table.dropped_users == 3


def test_the_items_file_is_the_catalogue_numbered_by_id(tmp_path):
    items = [{"id": 9, "text": "nine"}, {"id": 2, "text": " "}, {"id": 5, "text": "five"}]
    table = read(tmp_path, "a 2 9 2\n", items)
    assert table.items.select("id", "text").rows() == [(2, None), (5, "five"), (9, "nine")]
    assert table.events["item"].to_list() == [0, 2, 0]
    assert rows(table) == {"a": [2, 9, 2]}


@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_neither_the_order_of_users_nor_their_targets_move_a_number(tmp_path, seed, with_file):
    draw = random.Random(seed)
    ids = draw.sample(range(10**6), 12)
    lines = [(f"u{user}", ids[:2] + draw.choices(ids, k=draw.randint(1, 8))) for user in range(20)]
    items = [{"id": item, "text": str(item)} for item in draw.sample(ids, 12)] if with_file else None

    def table(users: list) -> Interactions:
        return read(tmp_path, "\n".join(" ".join([user, *map(str, taken)]) for user, taken in users), items)

    first, permuted = table(lines), table(draw.sample(lines, 20))
    assert first.fingerprint() == permuted.fingerprint() and first.events.equals(permuted.events)
    targets = draw.sample([taken[-1] for _, taken in lines], 20)
    other = table([(user, [*taken[:-1], target]) for (user, taken), target in zip(lines, targets, strict=True)])
    assert other.items.equals(first.items) and other.users.equals(first.users)


def test_texts(tmp_path):
    full = {"title": "T", "short_text": "s", "brand": "B", "categories": ["x", "y"]}
    cases: list[tuple[dict, str | None]] = [
        ({"text": "as given", **full}, "as given"),
        ({"text": None, **full}, "T. B. x. y"),
        ({**full, "title": None}, "s. B. x. y"),
        ({**full, "title": "", "brand": None, "categories": [["x", "y"], ["z"]]}, "s. x. y. z"),
        ({"categories": "x"}, "x"),
        ({"title": 1984}, "1984"),
        ({"text": "half a pair: \ud83d"}, "half a pair: ?"),
        ({}, None),
    ]
    table = read(tmp_path, "a 0 0 0\n", [{"id": at, **case} for at, (case, _) in enumerate(cases)])
    assert table.items["text"].to_list() == [text for _, text in cases]


def test_items_files_with_blank_lines_bom_crlf_or_gzip(tmp_path):
    lines = '{"id": 1, "text": "é"}\r\n\r\n{"id": 2}\r\n'
    for data in (lines.encode(), b"\xef\xbb\xbf" + lines.encode(), gzip.compress(lines.encode(), mtime=0)):
        assert read(tmp_path, "a 1 2 1\n", data).items.select("id", "text").rows() == [(1, "é"), (2, None)]


@pytest.mark.parametrize("seed", range(10))
def test_reader_is_the_plain_one(tmp_path, seed):
    draw = random.Random(seed)
    ids = draw.sample(range(10**12), 30)
    lines = [[f"u{user}", *draw.choices(ids, k=draw.randint(0, 8))] for user in range(20)]
    table = read(tmp_path, "\n".join(" ".join(map(str, line)) for line in lines))
    kept = {line[0]: line[1:] for line in lines if len(line) >= 4}
    assert rows(table) == kept
    assert table.items["id"].to_list() == sorted({item for items in kept.values() for item in items})
    assert table.dropped_users == 20 - len(kept)


@pytest.mark.parametrize(
    "sequences, message",
    [
        ("", "data.sequences: s.txt is empty"),
        (" \n\r\n", "data.sequences: s.txt is empty"),
        (b"\xef\xbb\xbf", "data.sequences: s.txt is empty"),
        (b"a 1 2 3\n\x00\x01\xff", "data.sequences: s.txt is no text file (it holds NUL bytes)"),
        ("a 1 2 3\n".encode("utf-16"), "data.sequences: s.txt is UTF-16 text: make it UTF-8 first"),
        (b"a 1 2 3\n\xff 1 2 3 4\n", "data.sequences: s.txt:2: not UTF-8 text"),
        ("a 1 2 3\n\nb 1 x2 3\n", "data.sequences: s.txt:3: items must be non-negative integers, got 'x2'"),
        ("a 1 -2 3\n", "s.txt:1: items must be non-negative integers, got '-2'"),
        ("a 1 2.0 3\n", "s.txt:1: items must be non-negative integers, got '2.0'"),
        ("a 1 +2 3\n", "s.txt:1: items must be non-negative integers, got '+2'"),
        ("a 1 1_0 3\n", "s.txt:1: items must be non-negative integers, got '1_0'"),
        ("a 1 ٣ 3\n", "s.txt:1: items must be non-negative integers, got '٣'"),
        ("a,1,2,3\nb 1,2 3\n", "s.txt:2: items must be non-negative integers, got '1,2'"),
        (f"a 1 {'x' * 99} 3\n", f"got '{'x' * 40}...'"),
        ("a 1 9223372036854775808 3\n", "s.txt:1: items must be <= 9223372036854775807, got '9223372036854775808'"),
        (f"a 1 {'9' * 5000} 3\n", "s.txt:1: items must be <= 9223372036854775807, got '999"),
        ("a 1 2 3\nb 1 2 3\n\na 1 2 3\n", "s.txt:4: user 'a' stands on line 1 too"),
        ("a 1 2 3\na 1\n", "s.txt:2: user 'a' stands on line 1 too"),
        ("a 1 2\nb\n", "s.txt: users need >= 3 interactions, none of the 2 here has"),
        ("a,1,2,3\n", "s.txt: users need >= 3 interactions, none of the 1 here has"),
        ("userId,movieId\n1,2\n", "none of the 2 here has; the file looks like a table of events: use data=table"),
        ("1\t31\t2.5\t9\n", "got '2.5'; the file looks like a table of events: use data=table data.events="),
        ("user_id:token\titem_id:token\n", "data.sequences: s.txt looks like an atomic file of RecBole"),
        (gzip.compress(b"a 1 2 3\n" * 999, mtime=0)[:-9], "data.sequences: cannot read s.txt"),
    ],
)
def test_bad_sequences_get_one_clear_line(tmp_path, sequences, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read(tmp_path, sequences)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "items, message",
    [
        ("", "data.items: i.jsonl is empty"),
        ('{"id": 1}\n{"id": 2,\n', "data.items: i.jsonl:2: not a line of JSON: '{\"id\": 2,'"),
        (b'{"id": 1, "text": "\xff"}', "data.items: i.jsonl:1: not UTF-8 text"),
        ('{"id": 1}\n' + "[" * 100_000, "data.items: i.jsonl:2: not a line of JSON"),
        ('{"id": 1, "price": NaN}\n', "data.items: i.jsonl:1: not a line of JSON"),
        ("[1]\n", "data.items: i.jsonl is one JSON document: it must hold one object a line"),
        ('{"id": 1}\n\n{"item": 2}\n', "i.jsonl:3: id must be an integer in 0..9223372036854775807, got None"),
        ('{"id": "1"}\n', "i.jsonl:1: id must be an integer in 0..9223372036854775807, got '1'"),
        ('{"id": true}\n', "i.jsonl:1: id must be an integer in 0..9223372036854775807, got True"),
        ('{"id": -1}\n', "i.jsonl:1: id must be an integer in 0..9223372036854775807, got -1"),
        ('{"id": 9223372036854775808}\n', "i.jsonl:1: id must be an integer in 0..9223372036854775807"),
        ('{"id": 1}\n{"id": 2}\n{"id": 1}\n', "data.items: i.jsonl:3: item 1 stands on line 1 too"),
        (b"\x00\x01", "data.items: i.jsonl is no text file (it holds NUL bytes)"),
        (b"\x1f\x8b garbage", "data.items: cannot read i.jsonl"),
        ('{"id": 1}\n', "data.sequences: s.txt:3: item 7 has no row in i.jsonl (items without a row: 2)"),
        ('{"id": 7}\n{"id": 8}\n', "data.sequences: s.txt:1: item 1 has no row in i.jsonl (items without a row: 1)"),
    ],
)
def test_bad_items_get_one_clear_line(tmp_path, items, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read(tmp_path, "a 1 1 1\n\nb 7 8 8\n", items)
    assert "\n" not in str(raised.value)


def test_missing_files_are_named_when_they_are_needed(tmp_path):
    (tmp_path / "s.txt").write_text("a 1 2 3\n")
    for call in (S3Rec.read, S3Rec.fingerprint):
        with pytest.raises(ValueError, match=r"data.sequences: no such file: .*nowhere.txt"):
            call(S3Rec("nowhere.txt", None, str(tmp_path)))
        with pytest.raises(ValueError, match=r"data.items: no such file: .*nowhere.jsonl"):
            call(S3Rec("s.txt", "nowhere.jsonl", str(tmp_path)))
        with pytest.raises(ValueError, match=r"data.root: no such folder: .*nowhere"):
            call(S3Rec("s.txt", None, str(tmp_path / "nowhere")))
        with pytest.raises(ValueError, match=r"data.sequences: not a file: "):
            call(S3Rec(".", None, str(tmp_path)))


def test_names_are_looked_up_in_root_or_here_and_absolute_ones_stay(tmp_path, monkeypatch):
    (tmp_path / "s.txt").write_text("a 1 2 3\n")
    monkeypatch.chdir(tmp_path)
    assert rows(S3Rec("s.txt", None, None).read()) == {"a": [1, 2, 3]}
    (tmp_path / "sub").mkdir()
    assert rows(S3Rec("../s.txt", None, "sub").read()) == {"a": [1, 2, 3]}
    assert rows(S3Rec(str(tmp_path / "s.txt"), None, "sub").read()) == {"a": [1, 2, 3]}


def test_fingerprint_is_of_contents_not_of_names(tmp_path):
    for name, content in {"a.txt": "a 1 2 3\n", "b.txt": "a 1 2 3\n", "c.txt": "a 1 2 4\n"}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "i.jsonl").write_text('{"id": 1}\n')

    def fingerprint(sequences: str, items: str | None = None) -> str:
        return S3Rec(sequences, items, str(tmp_path)).fingerprint()

    assert fingerprint("a.txt") == fingerprint("b.txt") == S3Rec(str(tmp_path / "a.txt"), None, None).fingerprint()
    assert len({fingerprint("a.txt"), fingerprint("c.txt"), fingerprint("a.txt", "i.jsonl")}) == 3


def test_a_field_of_the_items_is_their_order_from_which_nothing_learns(tmp_path):
    items = [{"id": 3, "asin": "B2"}, {"id": 1, "asin": None}, {"id": 2, "asin": 7}, {"id": 4}]
    table = read(tmp_path, "a 1 2 3\n", items)
    source = S3Rec("s.txt", "i.jsonl", str(tmp_path), "asin")
    assert source.read().items["order"].to_list() == [None, "7", "B2", None]
    assert table.items["order"].null_count() == 4
    assert source.read().fingerprint() == table.fingerprint()
    assert source.fingerprint() != S3Rec("s.txt", "i.jsonl", str(tmp_path)).fingerprint()


@pytest.mark.parametrize(
    "folder, name, users, items, interactions",
    [
        ("amazon_beauty", "Beauty.txt", 22_363, 12_101, 198_502),
        ("amazon_sports", "Sports_and_Outdoors.txt", 35_598, 18_357, 296_337),
        ("amazon_toys", "Toys_and_Games.txt", 19_412, 11_924, 167_597),
    ],
)
def test_real_data(folder, name, users, items, interactions):
    if not (REAL / folder).is_dir():
        pytest.skip("the Amazon data is not beside this repository")
    table = S3Rec(name, "items.jsonl.gz", str(REAL / folder)).read()
    assert (len(table.users), table.items.height, table.events.height) == (users, items, interactions)
    assert table.items["text"].null_count() == table.dropped_users == 0
    first = (REAL / folder / name).read_text().splitlines()[100].split()
    mine = table.events.filter(table.events["user"] == table.users.to_list().index(first[0]))["item"].to_numpy()
    assert table.items["id"].to_numpy()[mine].tolist() == list(map(int, first[1:]))
    assert table.items["id"].is_sorted() and table.users.cast(int).is_sorted()
