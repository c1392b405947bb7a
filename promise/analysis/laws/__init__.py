"""Scaling laws: their equations, users drawn anew, and fits that are held against budgets they never saw."""
