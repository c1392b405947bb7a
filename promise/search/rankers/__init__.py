"""Rankers beside the guided search."""
