"""Semantic IDs: from item embeddings to unique code paths, and the prefix trie over them."""
