"""Sources of interactions: one file per format behind one interface, `promise.data.sources.protocol.Source`."""
