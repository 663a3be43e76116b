"""What computes: the transformer, and what this project adds to it."""
