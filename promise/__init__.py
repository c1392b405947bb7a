"""Generative recommendation over semantic IDs, guided by a process reward model."""

__version__ = "0.1.0"
