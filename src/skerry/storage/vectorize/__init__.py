"""Vectorize: vectors that are found by their likeness."""
