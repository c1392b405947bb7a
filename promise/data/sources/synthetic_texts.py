"""The item texts of the simulated shop: brand, style, colour, kind and the path in the category tree."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

# fmt: off
DEPARTMENTS = ("Garden", "Kitchen", "Bath", "Office", "Nursery", "Garage", "Travel", "Sports", "Pets")
CATEGORIES = ("Storage", "Care", "Tools", "Lighting", "Textiles", "Decor", "Cleaning", "Safety", "Spares")
KINDS = (
    "Basket", "Box", "Brush", "Cover", "Lamp", "Mat", "Hook", "Tray", "Stand", "Bag", "Clip", "Filter",
    "Frame", "Holder", "Kit", "Knife", "Mirror", "Mug", "Pillow", "Pump", "Rack", "Roller", "Scale", "Sponge",
)
STYLES = ("Classic", "Modern", "Rustic", "Compact", "Deluxe", "Foldable", "Soft", "Slim", "Eco", "Smart")
COLOURS = ("Black", "White", "Red", "Blue", "Green", "Yellow", "Grey", "Brown", "Pink", "Silver", "Gold")
SYLLABLES = ("ba", "ko", "lu", "me", "ni", "ra", "so", "ti")
# fmt: on


def item_texts(paths: NDArray[Any], brands: NDArray[Any], missing: float, rng: np.random.Generator) -> pl.Series:
    """Writes "Brand Style Colour Kind. Categories: Department, Category, Kind", with words missing.

    Categories of different departments may share a name, and so may kinds; siblings never do.

    Args:
        paths: (I, 3) number of the department, the category in it, the kind (sub-category) in that, from 0.
        brands: (I,) number of the brand, from 0.
        missing: probability of each of the seven words to be missing.
        rng: draws styles, colours and what is missing.

    Returns:
        One text per item, null where every word is missing.
    """
    department, category, kind = paths.T
    kinds = _names(KINDS, kind, 7 * category + 3 * department)
    all_brands = ["".join(SYLLABLES[int(digit)] for digit in f"{brand:03o}") for brand in range(brands.max() + 1)]
    columns = (
        pl.Series(all_brands)[brands].str.to_titlecase(),
        _names(STYLES, rng.integers(len(STYLES), size=len(paths))),
        _names(COLOURS, rng.integers(len(COLOURS), size=len(paths))),
        kinds,
        _names(DEPARTMENTS, department),
        _names(CATEGORIES, category, 3 * department),
        kinds,
    )
    there = rng.random((len(paths), len(columns))) >= missing
    words = [column.set(~pl.Series(kept), None) for column, kept in zip(columns, there.T, strict=True)]
    title = pl.concat_str(words[:4], separator=" ", ignore_nulls=True).replace("", None)
    path = "Categories: " + pl.concat_str(words[4:], separator=", ", ignore_nulls=True).replace("", None)
    text = pl.concat_str(title, path, separator=". ", ignore_nulls=True).replace("", None)
    return pl.select(text).to_series()


def _names(words: tuple[str, ...], number: NDArray[Any], turn: NDArray[Any] | int = 0) -> pl.Series:
    """Names (n,) for numbers (n,): the words from words[turn] on, then the same with a 2 behind, ..."""
    rounds = pl.Series(number // len(words) + 1).cast(pl.String).replace("1", "")
    return pl.Series(words)[(number + turn) % len(words)] + rounds
