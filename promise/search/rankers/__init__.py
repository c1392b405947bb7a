"""Rankers beside guided search: exhaustive scoring, best of N, counts, and networks that score every item."""
