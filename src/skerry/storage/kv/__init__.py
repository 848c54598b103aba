"""Workers KV: keys of up to 512 bytes, values of up to 25 MiB, expiration and metadata."""
