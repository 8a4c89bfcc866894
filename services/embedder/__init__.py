"""The embedder tier."""
