"""What a ranker may return and for whom: allowed and denied items, past items, histories of unknown items."""
