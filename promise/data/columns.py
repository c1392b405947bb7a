"""Columns of a table by name: given, or guessed from the names that are usual."""

import re
from collections.abc import Sequence
from typing import Any

_ITEM = (
    "item itemid iid parentasin asin product productid movieid bookid isbn songid trackid artistid articleid newsid "
    "businessid gmapid videoid gameid recipeid placeid article articleno articlenumber itemno productno sku id"
)
# In small letters and without signs; of those that are there the first is taken.
_USUAL = {
    "user": "user userid uid reviewerid customer customerid customerno customernumber clientid buyerid visitorid "
    "memberid authorid steamid personid sessionid",
    "item": _ITEM,
    "time": "timestamp time ts unixreviewtime unixtime datetime eventtime createdat orderedat boughtat purchasedat "
    "date orderdate purchasedate reviewtime day",
    "items": "items itemids itemlist itemsequence history sequence",
    "item_id": _ITEM,
    "item_text": "title name itemname itemtitle productname producttitle articlename movietitle text brand "
    "store category categories genre genres",
    "item_category": "category categories genre genres maincat maincategory domain",
}


def require_column(name: str, value: Any, columns: Sequence[str], where: str = "") -> str:
    """The column that an option names; ValueError if it is not there, with those that are, of the file `where`."""
    if value is not None and str(value) in columns:
        return str(value)
    place = f" of {where}" if where else ""
    got = "none, and no name is a usual one" if value is None else value
    raise ValueError(f"{name} must be one of the columns {', '.join(columns)}{place}, got {got}")


def guessed(key: str, columns: Sequence[str]) -> list[str]:
    """Columns whose names are usual for an option, the most usual first.

    >>> guessed("user", ["movieId", "User ID", "uid"]), guessed("item_text", ["genres", "title"])
    (['User ID', 'uid'], ['title', 'genres'])
    """
    plain = {re.sub(r"[^a-z]", "", column.partition(":")[0].lower()): column for column in reversed(columns)}
    return [plain[word] for word in _USUAL[key].split() if word in plain]


def named_column(key: str, value: Any, columns: Sequence[str]) -> str | None:
    """The column of the option `data.KEY`: as given and there, else guessed; None where no name is a usual one."""
    if value is not None:
        return require_column(f"data.{key}", value, columns)
    return next(iter(guessed(key, columns)), None)
