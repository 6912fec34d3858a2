"""Compare the foreground, embeddings and categories of a run with true masks."""
