"""Item embeddings: one encoder per file behind one interface, `promise.data.embeddings.protocol.ItemEmbedding`."""
