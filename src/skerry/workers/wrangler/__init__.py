"""Wrangler's configuration files: parsed with positions, checked key by key, made a Project."""
