"""As `workers.asgi`, under its older name."""

from __future__ import annotations

from _skerry.asgi import entrypoint, fetch, websocket

__all__ = ["entrypoint", "fetch", "websocket"]


def __getattr__(name: str) -> object:
    if name == "env":  # for FastAPI: `env = Depends(asgi.env)`, found when it is asked for
        from _skerry.asgi import env_dependency

        return env_dependency()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
