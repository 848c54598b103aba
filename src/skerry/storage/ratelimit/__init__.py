"""Rate limits: so many calls per key and period."""
