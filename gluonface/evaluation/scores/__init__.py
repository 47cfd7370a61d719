"""From embeddings to scores: pairs, all against all, search, templates. Blocked, pure NumPy."""
