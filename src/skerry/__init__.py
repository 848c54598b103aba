"""Skerry: Workers AI applications on machines you own."""

__version__ = "0.1.0"
