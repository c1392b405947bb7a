"""Rows of a sweep, and the tables, curves and reports drawn from them."""
