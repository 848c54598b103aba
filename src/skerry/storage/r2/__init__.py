"""R2: buckets of objects."""
