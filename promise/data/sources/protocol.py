"""Source: the interface of everything that gives interactions."""

from typing import Protocol

from promise.data.interactions import Interactions


class Source(Protocol):
    """Reads or makes a data set."""

    def read(self) -> Interactions:
        """Returns the interactions and the catalogue.

        Raises:
            ValueError: one line that says what is wrong and where.
        """
        ...

    def fingerprint(self) -> str:
        """Returns a hash of everything that `read` depends on, such as the bytes of files (not their places)."""
        ...
