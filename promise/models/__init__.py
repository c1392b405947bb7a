"""The networks, in pure torch: generator, process reward model, and their FLOPs by formula."""
