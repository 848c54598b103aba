"""Between a request of a worker and an ASGI application (version 3.0)."""

from __future__ import annotations

import asyncio
import importlib
import weakref
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from _skerry.context import current
from _skerry.entrypoints import WorkerEntrypoint
from _skerry.headers import Headers
from _skerry.messages import Request, Response
from _skerry.state import RUNTIME
from _skerry.streams import ReadableStream, as_bytes
from _skerry.websocket import WebSocketPair

VERSIONS = {"spec_version": "2.4", "version": "3.0"}
STARTUP = 30.0
"""Seconds that an application's startup may take."""


class _Started:
    """Applications whose lifespan has begun; it ends with the process."""

    def __init__(self) -> None:
        self._states: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._lock = asyncio.Lock()

    async def state(self, app: Any) -> dict[str, Any]:
        """The state that its lifespan has made. Raises RuntimeError where startup failed."""
        async with self._lock:
            try:
                found = self._states.get(app)
            except TypeError:  # it cannot be remembered, so it is started each time
                return await self._start(app)
            if found is None:
                found = self._states[app] = await self._start(app)
            return found

    async def _start(self, app: Any) -> dict[str, Any]:
        state: dict[str, Any] = {}
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        begun = False

        async def receive() -> dict[str, Any]:
            nonlocal begun
            if begun:
                await asyncio.Event().wait()
            begun = True
            return {"type": "lifespan.startup"}

        async def send(event: Any) -> None:
            if ready.done():
                return
            if event["type"] == "lifespan.startup.failed":
                words = event.get("message") or "no reason was given"
                ready.set_exception(RuntimeError(f"the application's startup failed: {words}"))
            elif event["type"] == "lifespan.startup.complete":
                ready.set_result(None)

        async def run() -> None:
            try:
                await app({"type": "lifespan", "asgi": VERSIONS, "state": state}, receive, send)
            except Exception:
                # An application without a lifespan raises: that is allowed, and means none.
                if ready.done():
                    raise
            finally:
                if not ready.done():
                    ready.set_result(None)

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        async with asyncio.timeout(STARTUP):
            await ready
        return state


_STARTED = _Started()


def _scope(request: Request, env: Any, state: dict[str, Any], kind: str) -> dict[str, Any]:
    parts = urlsplit(request.url)
    headers = Headers(request._headers)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    scheme = parts.scheme
    if kind == "websocket":
        scheme = "wss" if scheme == "https" else "ws"
    client = headers["cf-connecting-ip"]
    scope = {
        "type": kind, "asgi": VERSIONS, "http_version": "1.1", "scheme": scheme,
        "path": unquote_to_bytes(parts.path or "/").decode("utf-8", "replace"),
        "raw_path": (parts.path or "/").encode(), "query_string": parts.query.encode(),
        "root_path": "", "headers": [
            (name.lower().encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers.raw()
        ],
        "server": (parts.hostname, port), "client": (client, 0) if client else None,
        "state": dict(state), "env": env,
    }  # fmt: skip
    if kind == "http":
        scope["method"] = str(request.js_object.method)
    else:
        asked = headers["sec-websocket-protocol"] or ""
        scope["subprotocols"] = [each.strip() for each in asked.split(",") if each.strip()]
    return scope


async def fetch(app: Any, request: Any, env: Any = None, ctx: Any = None) -> Response:
    """The application's answer; its body is streamed as it comes."""
    asked = request if isinstance(request, Request) else Request(request)
    if (asked._headers["upgrade"] or "").lower() == "websocket":
        return await websocket(app, asked, env)
    state = await _STARTED.state(app)
    scope = _scope(asked, RUNTIME.get().env if env is None else env, state, "http")
    return await _Exchange(app, scope, asked).answer()


class _Exchange:
    """One HTTP request of an application."""

    def __init__(self, app: Any, scope: dict[str, Any], request: Request) -> None:
        self._app = app
        self._scope = scope
        body = request.body
        self._incoming = aiter(body) if body is not None else None
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(16)
        self._head: asyncio.Future[tuple[int, Headers]]
        self._begun: tuple[int, Headers] | None = None
        self._gone = asyncio.Event()
        self._complete = False
        """The application has sent its last piece."""

    async def answer(self) -> Response:
        self._head = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._run())
        try:
            status, headers = await self._head
        except asyncio.CancelledError:
            task.cancel()
            raise
        current().waitUntil(self._after(task))
        return Response(self._body(task), status=status, headers=headers)

    def _body(self, task: asyncio.Future[None]) -> ReadableStream | None:
        assert self._begun is not None
        if self._begun[0] in (204, 304):
            return None
        return ReadableStream(self._pieces(task))

    async def _pieces(self, task: asyncio.Future[None]) -> AsyncIterator[bytes]:
        whole = False
        try:
            while (chunk := await self._chunks.get()) is not None:
                yield chunk
            whole = True
        finally:
            self._gone.set()
            if not whole:
                task.cancel()
        if not self._complete:
            await task

    async def _after(self, task: asyncio.Future[None]) -> None:
        """What the application does after its answer. Before its end, the body tells a failure."""
        await asyncio.wait((task,))
        error = None if task.cancelled() else task.exception()
        if error is not None and self._complete:
            RUNTIME.get().log.exception(error)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            if not self._head.done():
                raise RuntimeError("the application ended without an answer")
        except BaseException as error:
            if self._head.done():
                raise
            self._head.set_exception(
                error if isinstance(error, Exception) else RuntimeError(repr(error))
            )
        finally:
            if self._head.done():
                await self._chunks.put(None)

    async def _receive(self) -> dict[str, Any]:
        if self._incoming is not None:
            try:
                piece = as_bytes(await anext(self._incoming))
                return {"type": "http.request", "body": piece, "more_body": True}
            except StopAsyncIteration:
                self._incoming = None
                return {"type": "http.request", "body": b"", "more_body": False}
        if not self._scope.get("skerry.ended"):
            self._scope["skerry.ended"] = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            headers = Headers(
                [(_text(name), _text(value)) for name, value in event.get("headers", [])]
            )
            self._begun = (int(event["status"]), headers)
        elif event["type"] == "http.response.body":
            if self._begun is None:
                raise RuntimeError("http.response.body before http.response.start")
            if not self._head.done():
                self._head.set_result(self._begun)
            if event.get("body"):
                await self._chunks.put(bytes(event["body"]))
            if not event.get("more_body"):
                self._complete = True
                await self._chunks.put(None)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


async def websocket(app: Any, request: Any, env: Any = None) -> Response:
    """A WebSocket of the application."""
    asked = request if isinstance(request, Request) else Request(request)
    state = await _STARTED.state(app)
    scope = _scope(asked, RUNTIME.get().env if env is None else env, state, "websocket")
    client, server = WebSocketPair()
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    events.put_nowait({"type": "websocket.connect"})
    accepted: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def message(event: Any) -> None:
        kind = "text" if isinstance(event.data, str) else "bytes"
        events.put_nowait({"type": "websocket.receive", kind: event.data})

    def closed(event: Any) -> None:
        events.put_nowait({"type": "websocket.disconnect", "code": event.code})

    server.onmessage, server.onclose = message, closed
    server.accept()

    async def send(event: Any) -> None:
        kind = event["type"]
        if kind == "websocket.accept":
            headers = Headers([(_text(name), _text(v)) for name, v in event.get("headers", [])])
            if event.get("subprotocol"):
                headers.set("sec-websocket-protocol", event["subprotocol"])
            accepted.set_result(Response(None, status=101, headers=headers, web_socket=client))
        elif kind == "websocket.send":
            text = event.get("text")
            server.send(text if text is not None else event["bytes"])
        elif kind == "websocket.close":
            if not accepted.done():
                accepted.set_result(Response("Forbidden", status=403))
            server.close(event.get("code", 1000), event.get("reason") or "")

    async def run() -> None:
        try:
            await app(scope, events.get, send)
        except Exception as error:
            if not accepted.done():
                accepted.set_exception(error)
                return
            RUNTIME.get().log.exception(error)
        finally:
            server.close(1000 if accepted.done() else 1011)

    task = asyncio.ensure_future(run())
    current().waitUntil(task)
    return await accepted


def entrypoint(app: Any) -> type[WorkerEntrypoint]:
    """A class to be called Default, whose requests the application answers."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            return await fetch(app, request, self.env, self.ctx)

    return Default


def env_dependency() -> Any:
    """FastAPI's dependency that gives `env`."""
    fastapi: Any = importlib.import_module("fastapi")

    async def env(request: Any) -> Any:
        return request.scope["env"]

    env.__annotations__["request"] = fastapi.Request
    return fastapi.Depends(env)
