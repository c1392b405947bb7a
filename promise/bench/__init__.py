"""`promise bench`: what the engine costs, beside peers of equal size and the machine's own limits."""
