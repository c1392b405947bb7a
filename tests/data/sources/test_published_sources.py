"""Readers of published forms: a few lines in each form give what they say; the real files give their known counts."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from promise import configs
from promise.data.card import card_of
from promise.data.interactions import Interactions
from promise.data.preparing import EventSource
from promise.data.sources.amazon_reviews import AmazonReviews
from promise.data.sources.lcrec import LCRec
from promise.data.sources.movielens import MovieLens
from promise.data.sources.recbole import RecBole
from promise.data.sources.timed_sequences import TimedSequences
from promise.pipeline.config import make

REAL = Path(__file__).parents[4] / "shared" / "data"

# User, item, seconds; out of order in the files.
RATINGS = [(7, 1193, 978300760), (7, 661, 978300100), (9, 661, 978300275), (7, 50, 978302109), (9, 50, 5), (9, 1193, 9)]
HISTORIES = {"7": [661, 1193, 50], "9": [50, 1193, 661]}


def write(folder: Path, **files: str | bytes) -> str:
    """Writes files; two underscores in a name stand for a dot. Returns the folder's name."""
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder)


def lines(pattern: str, header: str = "") -> str:
    return header + "".join(pattern.format(*row) + "\n" for row in RATINGS)


def histories(table: Interactions) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {user: [] for user in table.users}
    for user, item, _ in table.events.iter_rows():
        found[table.users[user]].append(table.items["id"][item])
    return found


def texts(table: Interactions) -> dict[Any, tuple[str | None, str | None]]:
    """Id -> text and title."""
    return {item: (text, title) for item, text, title in table.items.select("id", "text", "title").iter_rows()}


def test_recbole(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        ml__inter=lines("{0}\t{1}\t4\t{2}.0", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
        ml__item='item_id:token\tmovie_title:token_seq\tgenre:token_seq\n661\tThe "Giant\tAnimation\n50\tFargo\t\n',
    )
    table = RecBole(None, root=root).read()
    assert histories(table) == HISTORIES
    assert texts(table) == {50: ("Fargo", "Fargo"), 661: ('The "Giant. Animation', 'The "Giant'), 1193: (None, None)}
    write(tmp_path, other__inter="user_id:token\titem_id:token\n")
    with pytest.raises(ValueError, match=r"data\.name must be one of ml, other, got null"):
        RecBole(None, root=root).fingerprint()
    (tmp_path / "ml.item").unlink()
    assert texts(RecBole("ml", root=root).read())[50] == (None, None)


FLAGS = ["1" if genre in (8, 17) else "0" for genre in range(19)]
FILMS = [["661", "Misérables, Les (1995)", "1-Jan-95", "", "http", *FLAGS], ["50", "Fargo", "", "", "", *"0" * 19]]
MOVIELENS: list[dict[str, str | bytes]] = [
    {
        "ratings__csv": lines("{0},{1},3.5,{2}", "userId,movieId,rating,timestamp\n"),
        "movies__csv": 'movieId,title,genres\n661,"Misérables, Les (1995)",Drama|War\n50,Fargo,(no genres listed)\n',
    },
    {
        "ratings__dat": lines("{0}::{1}::5::{2}"),
        "movies__dat": "661::Misérables, Les (1995)::Drama|War\n50::Fargo::(no genres listed)\n".encode("latin-1"),
    },
    {"u__data": lines("{0}\t{1}\t5\t{2}"), "u__item": "\n".join(map("|".join, FILMS)).encode("latin-1")},
]


@pytest.mark.parametrize("files", MOVIELENS, ids=["latest", "1m", "100k"])
def test_movielens(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    table = MovieLens(root=write(tmp_path, **files)).read()
    assert histories(table) == HISTORIES
    assert texts(table)[661] == ("Misérables, Les (1995). Drama|War", "Misérables, Les (1995)")
    assert table.items["title"].to_list() == ["Fargo", "Misérables, Les (1995)", None]


def test_movielens_without_films_or_ratings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root: none of ratings\.csv, ratings\.dat, u\.data is in "):
        MovieLens(root=str(tmp_path)).fingerprint()
    assert MovieLens(root=write(tmp_path, u__data=MOVIELENS[2]["u__data"])).read().items["text"].count() == 0
    with pytest.raises(ValueError, match=r"data\.root: u\.item must have a title on every line, got '661'$"):
        MovieLens(root=write(tmp_path, u__item="661")).read()


OLD = [{"reviewerID": f"A{u}", "asin": f"B{i}", "overall": 5.0, "unixReviewTime": t} for u, i, t in RATINGS]
NEW = [{"user_id": f"A{u}", "asin": "variant", "parent_asin": f"B{i}", "timestamp": 1000 * t} for u, i, t in RATINGS]
NAMED = {"title": "Soap & Water"}
PRODUCT = {"title": "Soap &amp; Water", "brand": "Bee", "price": 1.5}
AMAZON: dict[str, tuple[list[dict[str, Any]], Callable[[Any], str], dict[str, Any]]] = {
    "2014": (OLD, repr, {"asin": "B661", "categories": [["Beauty", "Soap"]], "salesRank": {"Beauty": 7}, **PRODUCT}),
    "2018": (OLD, json.dumps, {"asin": "B661", "category": ["Beauty", "Soap"], "rank": [], **PRODUCT}),
    "2023": (NEW, json.dumps, {"parent_asin": "B661", "categories": ["Beauty", "Soap"], "store": "Bee", **NAMED}),
}  # fmt: skip


@pytest.mark.parametrize("year", AMAZON)
def test_amazon_reviews(tmp_path: Path, year: str) -> None:
    reviews, spelled, product = AMAZON[year]
    products = [product, {**product, "title": "again"}]
    files = {
        "r__json__gz": gzip.compress("\n".join(map(json.dumps, reviews)).encode()),
        "m__json__gz": gzip.compress("\n".join(map(spelled, products)).encode()),
    }
    table = AmazonReviews("r.json.gz", "m.json.gz", root=write(tmp_path, **files)).read()
    assert histories(table) == {f"A{user}": [f"B{item}" for item in items] for user, items in HISTORIES.items()}
    assert texts(table)["B661"] == ("Soap & Water. Bee. Beauty. Soap", "Soap & Water")
    kept = table.items.filter(table.items["id"] == "B661")
    assert kept.select("category", "order").row(0) == ("Beauty. Soap", "B661")


def test_amazon_reviews_that_are_none(tmp_path: Path) -> None:
    root = write(tmp_path, r__jsonl='{"user": 1, "item": 2}\n', m__json="{'asin': 'B1'}\n{'asin': __import__('os')}\n")
    with pytest.raises(ValueError, match=r"data\.reviews must have the columns reviewerID, asin, .* got user, item$"):
        AmazonReviews("r.jsonl", None, root=root).read()
    with pytest.raises(ValueError, match=r"data\.products: m\.json:2: not a Python literal: \"{'asin': __import__"):
        AmazonReviews("r.jsonl", "m.json", root=root).items()
    write(tmp_path, m__json='{"id": "B1"}')
    with pytest.raises(ValueError, match=r"data\.products must be one of the columns id, got asin$"):
        AmazonReviews("r.jsonl", "m.json", root=root).items()


def test_lcrec(tmp_path: Path) -> None:
    items = {"50": {"title": "Fargo", "brand": "", "categories": "Film, Crime", "description": ""}}
    root = write(tmp_path, B__inter__json=json.dumps(HISTORIES), B__item__json=json.dumps(items))
    table = LCRec("B", root=root).read()
    assert histories(table) == HISTORIES
    assert texts(table)[50] == ("Fargo. Film, Crime", "Fargo")
    items["50"]["categories"] = ["Film", "Crime, French"]  # type: ignore[assignment]
    write(tmp_path, B__item__json=b"\xef\xbb\xbf" + json.dumps(items).encode())
    assert texts(LCRec("B", root=root).read())[50] == ("Fargo. Film. Crime, French", "Fargo")
    (tmp_path / "B.item.json").write_text('{"50": "Fargo"}')
    with pytest.raises(ValueError, match=r"data\.name: B\.item\.json: item '50' must have an object of texts"):
        LCRec("B", root=root).read()
    (tmp_path / "B.item.json").unlink()
    write(tmp_path, B__inter__json=json.dumps({user: [*items, None] for user, items in HISTORIES.items()}))
    assert histories(LCRec("B", root=root).read()) == HISTORIES
    for content, message in (
        ("[1]", "must be a JSON object"),
        ("{", "is no JSON"),
        ('{"1": 2}', "user '1' must have a list"),
    ):
        write(tmp_path, B__inter__json=content)
        with pytest.raises(ValueError, match=rf"data\.name: B\.inter\.json:? {message}"):
            LCRec(None, root=root).read()


def timed(folder: Path, domains: Any = None, **files: str) -> TimedSequences:
    items = [{"id": item, "domain": domain, "title": None} for item, domain in ((3, "book"), (20, "book"), (4, "toy"))]
    content = {"s__txt": "a 20 3 4 20\nb 4 20\n", "t__txt": "a 9 5 5 7\nb 1 2\n"}
    root = write(folder, **{"i__jsonl": "\n".join(map(json.dumps, items)), **content, **files})
    return TimedSequences("s.txt", "t.txt", "i.jsonl", domains, root=root)


def test_timed_sequences(tmp_path: Path) -> None:
    table = timed(tmp_path).read()
    assert histories(table) == {"a": [3, 4, 20, 20]} and table.dropped_users == 1
    assert table.items.select("id", "category", "order").rows() == [
        (3, "book", "03"),
        (4, "toy", "04"),
        (20, "book", "20"),
    ]
    assert histories(timed(tmp_path, ["book"]).read()) == {"a": [3, 20, 20]}
    with pytest.raises(ValueError, match=r"data\.domains must be among book, toy, got food"):
        timed(tmp_path, "food").read()
    with pytest.raises(ValueError, match=r"data\.domains must be among book, got food"):
        timed(tmp_path, "food", i__jsonl='{"id": 3, "domain": null}\n{"id": 4, "domain": "book"}').read()
    for wrong in ("a 9 5 5\nb 1 2\n", "a 9 5 5 7\n", "a 9 5 5 7\nc 1 2\n"):
        with pytest.raises(ValueError, match=r"data\.times must have the users and as many times as"):
            timed(tmp_path, t__txt=wrong).read()


@pytest.mark.parametrize(
    ("words", "folder", "counts"),
    [
        (["data=movielens"], "ml_latest_small", (671, 9066, 100_004, 9066)),
        (["data=recbole"], "formats/recbole_ml-latest-small-200u", (200, 5216, 27_678, 5216)),
        (["data=amazon_gift_cards"], "formats/mcauley_v2_gift_cards", (458, 148, 2972, 148)),
        (["data=lcrec"], "amazon_beauty", (22_363, 12_101, 198_502, 12_101)),
        (["data=amazon_union", "data.domains=[beauty]"], "amazon_union", (22_332, 12_086, 198_215, 12_086)),
    ],
)
def test_real_files(words: list[str], folder: str, counts: tuple[int, ...]) -> None:
    if not (REAL / folder).is_dir():
        pytest.skip("the data is not beside this repository")
    source = make(configs.compose([*words, f"data.root={REAL / folder}"]).data)
    assert isinstance(source, EventSource)
    card = card_of(source.read())
    assert tuple(card[name] for name in ("users", "items", "events", "texts")) == counts
