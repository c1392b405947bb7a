"""An item embedding from outside: places on a circle."""

import numpy as np
import polars as pl

from promise.data.histories import Histories


class Circle:
    """Items in their order around a circle of a radius.

    Args:
        radius: Of the circle.
    """

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def embed(self, items: pl.DataFrame, histories: Histories, seed: int) -> np.ndarray:
        """Places (I, 2) float32."""
        angles = 2 * np.pi * np.arange(histories.item_count) / histories.item_count
        return (self.radius * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(np.float32)

    def fingerprint(self) -> str:
        """Everything besides the data that decides the vectors."""
        return f"circle-{self.radius}"
