"""Everything that ranks items for users: the guided beam search, other rankers, and filters for all of them."""
