"""Time stamps of any form as integers: numbers and dates; their unit, their range, and what has harmed them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

#: Unit -> how many of it are a second, and the largest stamp that is taken for one of it (about the year 5100).
_UNITS = {
    "seconds": (1, 10**11),
    "milliseconds": (10**3, 10**14),
    "microseconds": (10**6, 10**17),
    "nanoseconds": (10**9, 2**64),
}
_EARLIEST = 10**8  # seconds: stamps before 1973 are no dates, but numbers that give an order
_DAY = 86_400
_SAMPLE = 1000
#: Forms of a day besides the ISO one that can be read in one way alone; with slashes day or month could be first.
_DAYS = ("%Y/%m/%d", "%d.%m.%Y", "%B %d, %Y", "%B %d %Y", "%d %B %Y", "%m %d, %Y")
_TIMES_OF_DAY = ("%H:%M:%S%.f", "%H:%M")
_WEEKDAY = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? "


def as_integers(column: str, sample: pl.Series) -> tuple[pl.Expr, str | None]:
    """How to turn a column of stamps into integers, and their unit where the form tells it.

    Numbers stay what they are (fractions of a second become microseconds), dates become microseconds since 1970,
    UTC where no zone is given. What is no time, or may have its day or its month first, becomes null.

    Args:
        column: Name of the column.
        sample: Some of its values.

    >>> stamps = pl.DataFrame({"t": ["2015-03-01", "2015-03-01T00:00:01Z", "2015-03-01 01:00:02.5+01", "soon"]})
    >>> how, unit = as_integers("t", stamps["t"])
    >>> unit, (stamps.select(how)["t"] - 1_425_168_000_000_000).to_list()
    ('microseconds', [0, 1000000, 2500000, None])
    >>> days = pl.DataFrame({"t": ["Sun Mar 01 2015", "03 1, 2015", "2015/03/01 12:30", "01.03.2015", "03/01/2015"]})
    >>> [(stamp or 0) / 1e6 - 1_425_168_000 for stamp in days.select(as_integers("t", days["t"])[0])["t"].to_list()]
    [0.0, 0.0, 45000.0, 0.0, -1425168000.0]
    """
    value = pl.col(column)
    if sample.dtype in (pl.Date, pl.Datetime):
        return value.cast(pl.Datetime("us")).cast(pl.Int64), "microseconds"
    if sample.dtype.is_integer():
        return value.cast(pl.Int64, strict=False), None
    values = sample.drop_nulls().head(_SAMPLE)
    numbers = values.cast(pl.Float64, strict=False)
    if sample.dtype.is_numeric() or numbers.count() > len(values) / 2:
        dates = values.cast(pl.String).str.to_date("%Y%m%d", strict=False)
        if dates.count() == len(values) > 0 and dates.dt.year().is_between(1900, 2100).all():
            days = value.cast(pl.String).str.to_date("%Y%m%d", strict=False)
            return days.cast(pl.Datetime("us")).cast(pl.Int64), "microseconds"
        number = value.cast(pl.Float64, strict=False)
        number = pl.when(number.is_finite()).then(number)
        if (numbers != numbers.round()).any() and (numbers < _UNITS["seconds"][1]).all():
            return (number * 1e6).round().cast(pl.Int64, strict=False), "microseconds"
        return pl.coalesce(value.cast(pl.Int64, strict=False), number.cast(pl.Int64, strict=False)), None
    text = value.cast(pl.String).str.strip_chars().str.replace(_WEEKDAY, "")
    text = text.str.replace(r" ?(UTC|Z)$", "+00:00").str.replace("T", " ", literal=True)
    forms = [
        text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", strict=False).dt.replace_time_zone(None),
        text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
        text.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False),
        text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
    ]
    for day in _DAYS:
        with_time = [text.str.to_datetime(f"{day} {time}", time_unit="us", strict=False) for time in _TIMES_OF_DAY]
        others = [*with_time, text.str.to_date(day, strict=False).cast(pl.Datetime("us"))]
        # Only those that are there: a table has 10^8 rows, and nearly always dates of one form.
        forms += [form for form in others if values.to_frame(column).select(form).to_series().count()]
    return pl.coalesce(forms).cast(pl.Int64), "microseconds"


def ambiguous(stamp: str) -> bool:
    """Whether a date may have its day or its month first.

    >>> ambiguous("06/01/2014 12:30"), ambiguous("6-1-14"), ambiguous("01.06.2014"), ambiguous("2014/06/01")
    (True, True, False, False)
    """
    return re.match(r"\s*\d{1,2}[/-]\d{1,2}[/-](\d{4}|\d{2})\b", stamp) is not None


@dataclass(frozen=True)
class Clock:
    """What a table's stamps are.

    Attributes:
        unit: seconds, milliseconds, microseconds or nanoseconds; None where they are no dates.
        first: The earliest as an ISO date; the number itself where there is no unit.
        last: The latest.
        resolution: day, second, finer, or float32 where rounding to single precision has harmed them; None = no unit.
    """

    unit: str | None
    first: str
    last: str
    resolution: str | None

    @classmethod
    def of(cls, times: NDArray[np.int64], unit: str | None = None) -> "Clock":
        """Looks at all stamps (n,), n >= 1, of a unit that is known, or else told from their size.

        >>> Clock.of(np.array([1260759144, 1260759179]))
        Clock(unit='seconds', first='2009-12-14T02:52:24', last='2009-12-14T02:52:59', resolution='second')
        >>> Clock.of(np.array([1260759168, 1260759296, 1260766080] * 9)).resolution
        'float32'
        >>> Clock.of(np.arange(7)).unit
        """
        low, high = int(times.min()), int(times.max())
        middle = int(np.median(times[:: max(len(times) // 10**5, 1)]))
        unit = unit or next(name for name, (_, most) in _UNITS.items() if abs(middle) < most)
        per_second = _UNITS[unit][0]
        if abs(middle) < _EARLIEST * per_second:
            return cls(None, str(low), str(high), None)
        if _holds_for_all(times, lambda stamps: stamps % (_DAY * per_second) == 0):
            resolution = "day"
        elif len(times) > 20 and _holds_for_all(times, lambda stamps: stamps.astype(np.float32) == stamps):
            resolution = "float32"
        else:
            whole = _holds_for_all(times, lambda stamps: stamps % per_second == 0)
            resolution = "second" if whole else "finer"
        return cls(unit, _iso(low, per_second), _iso(high, per_second), resolution)

    def warnings(self) -> list[str]:
        """What to know before the order is trusted."""
        if self.unit is None:
            return ["the times are no dates: they are taken as numbers that give an order"]
        found = []
        if self.resolution == "float32":
            found.append("the times were rounded to single precision: events of about two minutes share one")
        if "1970-01-01" <= self.first < "1970-02" or self.last >= "2100":
            found.append(f"the times run from {self.first} to {self.last}: are all of them right, and of one unit?")
        return found

    def stamp(self, moment: datetime, name: str) -> int:
        """A moment as a stamp; `name` is the option that gives it; ValueError if the stamps are no dates."""
        if self.unit is None:
            raise ValueError(f"{name} must be a number or a share: the times of the data are no dates")
        return round(moment.timestamp() * 10**6) * _UNITS[self.unit][0] // 10**6  # exact also in nanoseconds

    def shown(self, stamp: int) -> str:
        """A stamp as an ISO date; the number itself where there is no unit."""
        return str(stamp) if self.unit is None else _iso(stamp, _UNITS[self.unit][0])


def _holds_for_all(times: NDArray[np.int64], test: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> bool:
    """Whether a test holds for all stamps; mostly the first ones tell that it does not."""
    return bool(test(times[:10_000]).all() and test(times).all())


def _iso(stamp: int, per_second: int) -> str:
    seconds = min(max(stamp // per_second, -62_135_596_800), 253_402_300_799)  # years that a datetime can hold
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def newest_first(users: NDArray[Any], times: NDArray[np.int64]) -> bool:
    """Whether a file, of events by users (n,) at times (n,), lists each user's newest first, or nearly so.

    >>> newest_first(np.array([1, 2, 1, 2]), np.array([9, 5, 8, 3])), newest_first(np.array([1, 1]), np.array([3, 4]))
    (True, False)
    """
    some = users % (len(users) // 10**6 + 1) == 0  # of a million events, or nearly so
    users, times = users[some], times[some]
    order = np.argsort(users, kind="stable")
    same = np.diff(users[order]) == 0
    steps = np.sign(np.diff(times[order]))[same]
    return bool((steps < 0).sum() > 99 * (steps > 0).sum() and (steps < 0).any())
