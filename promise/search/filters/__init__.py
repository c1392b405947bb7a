"""Filters of any ranker: allowed and denied items, the users' own past, histories of unknown items."""
