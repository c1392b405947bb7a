"""Generative recommendation over semantic IDs, guided by a process reward model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promise.api import Recommender, load
    from promise.ids.semantic_ids import SemanticIds
    from promise.ids.trie import Trie
    from promise.search.guided import GuidedSearch

__all__ = ["GuidedSearch", "Recommender", "SemanticIds", "Trie", "load"]
__version__ = "0.1.0"

#: Where the names above live: they are imported when they are first asked for, because torch takes its time.
_HOMES = {
    "GuidedSearch": "promise.search.guided",
    "Recommender": "promise.api",
    "SemanticIds": "promise.ids.semantic_ids",
    "Trie": "promise.ids.trie",
    "load": "promise.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
