"""The stores over REST, at Cloudflare's paths: one module per product."""
