"""The interactions table: round trip, fingerprint, checks."""

import polars as pl
import pytest

from promise.data.interactions import EVENT_COLUMNS, ITEM_COLUMNS, Interactions


def table(
    *,
    users: tuple[str, ...] = ("a", "bc"),
    user: tuple[int, ...] = (0, 0, 0, 1, 1, 1),
    item: tuple[int, ...] = (0, 1, 0, 2, 1, 0),
    time: tuple[int, ...] = (0, 1, 2, 0, 1, 2),
    ids: tuple[int, ...] = (3, 7, 2**40),
    texts: tuple[str | None, ...] = ("é ☕", None, ""),
    dropped: int = 4,
) -> Interactions:
    return Interactions(
        events=pl.DataFrame({"user": user, "item": item, "time": time}, schema=EVENT_COLUMNS),
        users=pl.Series("user", users),
        items=pl.DataFrame({"id": ids, "text": texts}, schema=ITEM_COLUMNS),
        dropped_users=dropped,
    )


def test_save_and_load_give_the_same_table(tmp_path):
    saved = table()
    saved.save(tmp_path / "new [1]" / "folder")
    loaded = Interactions.load(tmp_path / "new [1]" / "folder")
    assert loaded.events.equals(saved.events)
    assert loaded.users.to_list() == ["a", "bc"]
    assert loaded.items.equals(saved.items)
    assert loaded.dropped_users == 4
    assert loaded.fingerprint() == saved.fingerprint()


@pytest.mark.parametrize("ids", [[10, 9, 200], ["b", "ab", "a"]])
def test_items_and_users_are_numbered_by_what_they_are_called(ids, tmp_path):
    """Shorter names first, so that numbers come by size; the source's own order means nothing."""
    events = {"user": [0, 1, 0, 1, 0, 1], "item": [0, 0, 1, 1, 2, 2], "time": [5, 5, 5, 4, 3, 3]}
    items = pl.DataFrame({"id": ids, "text": list("xyz"), "order": [None, "o", None]}, schema_overrides={"order": str})
    found = Interactions(pl.DataFrame(events, schema=EVENT_COLUMNS), pl.Series(["u10", "u9"]), items, 0)
    assert found.users.to_list() == ["u9", "u10"]
    assert found.items["id"].to_list() == sorted(ids, key=lambda name: (len(str(name)), name))
    named = found.events.select(
        pl.col("user").replace_strict({0: "u9", 1: "u10"}), found.items["id"][found.events["item"]]
    )
    assert named.rows() == [
        ("u9", ids[2]), ("u9", ids[1]), ("u9", ids[0]), ("u10", ids[2]), ("u10", ids[0]), ("u10", ids[1]),
    ]  # fmt: skip
    found.save(tmp_path)
    assert Interactions.load(tmp_path).items.equals(found.items)


def test_fingerprint_sees_every_part():
    others = [
        table(users=("ab", "c")),
        table(user=(0, 0, 0, 1, 1, 0)),
        table(item=(0, 1, 0, 2, 1, 1)),
        table(time=(0, 1, 2, 0, 1, 3)),
        table(ids=(3, 7, 8)),
        table(texts=("é ☕", "", "")),
        table(texts=("é ☕", "", None)),
        table(dropped=0),
    ]
    prints = {one.fingerprint() for one in [table(), *others]}
    assert len(prints) == 1 + len(others)
    assert table().fingerprint() == table().fingerprint()
    assert all(len(one) == 16 for one in prints)


def test_load_names_what_is_missing_or_broken(tmp_path):
    with pytest.raises(ValueError, match=r"cannot load the interactions in .*events.parquet"):
        Interactions.load(tmp_path)
    table().save(tmp_path)
    (tmp_path / "items.parquet").write_bytes(b"not parquet")
    with pytest.raises(ValueError, match=r"cannot load the interactions in"):
        Interactions.load(tmp_path)
    table().save(tmp_path)
    pl.DataFrame({"user": ["a", "bc"]}).write_parquet(tmp_path / "users.parquet")
    with pytest.raises(ValueError, match=r"cannot load the interactions in .*dropped_users"):
        Interactions.load(tmp_path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda t: Interactions(t.events.cast({"item": pl.Int64}), t.users, t.items, 0),
            "events must have the columns",
        ),
        (lambda t: Interactions(t.events, t.users, t.items.drop("text"), 0), "items must have the columns"),
        (
            lambda t: Interactions(t.events.with_columns(time=pl.lit(None, pl.Int64)), t.users, t.items, 0),
            "events.time must not be null in any row",
        ),
        (lambda t: Interactions(t.events, pl.Series([1, 2]), t.items, 0), "users must be strings, got Int64"),
        (lambda t: Interactions(t.events.clear(), t.users, t.items, 0), "events must hold at least one row"),
        (lambda t: Interactions(t.events, t.users.head(1), t.items, 0), "events.user must lie in 0..0, got 0..1"),
        (lambda _: table(ids=(3, 7, 7)), "items must be distinct, 7 is there twice"),
        (lambda _: table(users=("a", "a")), "users must be distinct, 'a' is there twice"),
        (lambda _: table(item=(0, 1, 0, 2, 1, 3)), "events.item must lie in 0..2, got 0..3"),
        (lambda _: table(item=(0, 1, 0, 2, 1, -1)), "events.item must lie in 0..2, got -1..2"),
    ],
)
def test_wrong_tables_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build(table())
