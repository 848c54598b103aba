"""What workers store: kv, d1, r2, cache, queues, vectorize, analytics, rate limits.

Each is a package with an abstract class in `base.py` and an embedded backend beside it.
"""
