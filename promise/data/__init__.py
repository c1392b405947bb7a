"""From files of interactions to padded batches of histories."""
