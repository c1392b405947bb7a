"""MovieLens in all its forms: u.data (100K), ratings.dat (1M, 10M), ratings.csv (latest, 20M, 25M, 32M)."""

from pathlib import Path

import polars as pl

from promise.data.item_table import item_table
from promise.data.preparing import Events, EventSource
from promise.data.tables import TableFile

# Files of ratings and of films, and the columns of user, item and time.
_FORMS = {
    "ratings.csv": ("movies.csv", ("userId", "movieId", "timestamp")),
    "ratings.dat": ("movies.dat", ("1", "3", "7")),  # 1::1193::5::978300760, cut at every single colon
    "u.data": ("u.item", ("1", "2", "4")),
}
# Flags of u.item, in the order of their columns.
_GENRES = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
)
_GENRES += "Mystery Romance Sci-Fi Thriller War Western"


class MovieLens(EventSource):
    """Reads a folder as GroupLens publishes it, `root`; ratings of any value are events. See `EventSource`."""

    def paths(self) -> list[Path]:
        """The ratings, and the films if their file is there."""
        root = Path(self.root or ".").expanduser()
        for name, (films, _) in _FORMS.items():
            if (root / name).is_file():
                return [root / name, *([root / films] if (root / films).is_file() else [])]
        raise ValueError(f"data.root: none of {', '.join(_FORMS)} is in {root}")

    def events(self) -> Events:
        """The ratings."""
        path = self.paths()[0]
        separator = {"ratings.csv": ",", "ratings.dat": ":", "u.data": "\t"}[path.name]
        file = TableFile.open("data.root", path, header=path.suffix == ".csv", separator=separator)
        return Events([file], *_FORMS[path.name][1])

    def items(self) -> pl.DataFrame | None:
        """The films: their titles and genres."""
        if len(self.paths()) == 1:
            return None
        path = self.paths()[1]
        if path.suffix == ".csv":
            return item_table([TableFile.open("data.root", path)], "movieId", ["title", "genres"], "genres")
        content = path.read_bytes()
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # 100K and 1M
        rows = []
        for line in filter(None, map(str.strip, text.split("\n"))):  # a title may hold other ends of lines
            film, *told = line.split("::" if path.suffix == ".dat" else "|")
            if not told:
                raise ValueError(f"data.root: {path.name} must have a title on every line, got {line[:60]!r}")
            title, *rest = told
            flags = zip(_GENRES.split(), rest[3:], strict=False)
            genres = "".join(rest[:1]) if path.suffix == ".dat" else "|".join(genre for genre, on in flags if on == "1")
            rows.append((film, title, genres))
        frame = pl.DataFrame(rows, schema=dict.fromkeys(("id", "title", "genres"), pl.String), orient="row")
        file = TableFile("data.root", path, "csv", tuple(frame.columns), header=False, frame=frame)
        return item_table([file], "id", ["title", "genres"], "genres")
