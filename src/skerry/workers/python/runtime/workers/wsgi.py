"""Runs WSGI applications, Flask and Django among them: `await wsgi.fetch(app, request, env)`."""

from __future__ import annotations

from _skerry.wsgi import entrypoint, fetch

__all__ = ["entrypoint", "fetch"]
