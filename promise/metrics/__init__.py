"""How well a ranking does, how far a search drifts, and how sure the numbers are."""
