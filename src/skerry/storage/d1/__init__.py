"""D1: each database a SQLite file of its own, with D1's limits, words and accounts of work."""
