"""Between a request of a worker and a WSGI application (PEP 3333), which runs in a thread."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from _skerry.entrypoints import WorkerEntrypoint
from _skerry.headers import Headers
from _skerry.messages import Request, Response
from _skerry.state import RUNTIME


async def fetch(app: Any, request: Any, env: Any = None, ctx: Any = None) -> Response:
    """The application's answer. `environ["workers.env"]` is env; run_sync() works in it."""
    asked = request if isinstance(request, Request) else Request(request)
    body = bytes(await asked.bytes())
    environ = _environ(asked, body, RUNTIME.get().env if env is None else env, ctx)
    status, headers, pieces = await asyncio.to_thread(_call, app, environ)
    code, _, reason = status.partition(" ")
    empty = code in ("204", "304")
    return Response(
        None if empty else _body(pieces), status=int(code), status_text=reason, headers=headers
    )


def _environ(request: Request, body: bytes, env: Any, ctx: Any) -> dict[str, Any]:
    parts = urlsplit(request.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    headers = Headers(request._headers)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": str(request.js_object.method), "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
        "QUERY_STRING": parts.query, "SERVER_NAME": parts.hostname or "localhost",
        "SERVER_PORT": str(port), "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": headers["cf-connecting-ip"] or "127.0.0.1",
        "CONTENT_TYPE": headers["content-type"] or "", "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0), "wsgi.url_scheme": parts.scheme, "wsgi.input": io.BytesIO(body),
        "wsgi.errors": _Errors(), "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False, "wsgi.input_terminated": True,
        "workers.env": env, "workers.ctx": ctx, "workers.request": request,
    }  # fmt: skip
    for name, value in headers.entries():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            environ[f"HTTP_{key}"] = value
    return environ


class _Errors(io.TextIOBase):
    def write(self, text: str) -> int:
        if text.strip():
            RUNTIME.get().log.write("error", text.rstrip("\n"))
        return len(text)


def _call(app: Any, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    told: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        told.append((status, list(headers)))
        return written.append

    made = app(environ, start)
    pieces = iter(made)
    first = next(pieces, b"")  # a generator calls start_response with its first piece
    if not told:
        raise RuntimeError("the application did not call start_response")
    status, headers = told[-1]

    def rest() -> Iterable[bytes]:
        try:
            yield from [*written, first]
            yield from pieces
        finally:
            close = getattr(made, "close", None)
            if close is not None:
                close()

    return status, headers, rest()


async def _body(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    source = iter(pieces)
    try:
        while (piece := await asyncio.to_thread(next, source, None)) is not None:
            yield piece
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            await asyncio.to_thread(close)


def entrypoint(app: Any) -> type[WorkerEntrypoint]:
    """A class to be called Default, whose requests the application answers."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            return await fetch(app, request, self.env, self.ctx)

    return Default
