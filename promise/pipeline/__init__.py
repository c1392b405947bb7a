"""The stages from raw files to trained networks, each kept and reused by the hash of what made it."""
