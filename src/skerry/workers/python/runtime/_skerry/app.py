"""From bytes to handlers and back: HTTP requests, cron events, batches of messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from html import escape
from http import HTTPStatus
from typing import Any, TypeVar

from _skerry.bindings.fetchers import Files
from _skerry.bindings.plan import Env
from _skerry.client import Client
from _skerry.context import CURRENT, Context
from _skerry.events import MessageBatch, ScheduledController
from _skerry.handlers import Handlers
from _skerry.logs import Log, trace
from _skerry.messages import Request, Response
from _skerry.server import Connection, Incoming, flatten
from _skerry.special import Special
from _skerry.streams import ReadableStream, as_bytes
from _skerry.wire import Pairs

T = TypeVar("T")
BUSY = 0.05
"""The part of its time that a handler computes which is not hung."""
HUNG = (
    "The Workers runtime canceled this request because it detected that your Worker's code had"
    " hung and would never generate a response."
)
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Worker threw exception</title>'
    '<body style="font-family:system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem">'
    "<h1>Error 1101</h1><h2>Worker threw exception</h2><pre>{}</pre>"
)
CLIENT = "cf-connecting-ip"
INTERNAL = "x-skerry-"
"""Headers of the node's own begin so; a handler does not see them."""


class App:
    """Answers with the worker's handlers. plan: as the node sent it."""

    def __init__(
        self, handlers: Handlers, env: Env, log: Log, client: Client, plan: dict[str, Any]
    ) -> None:
        self._handlers = handlers
        self._client = client
        self._env = env
        self._log = log
        self._cf = plan["cf"] or {}
        self._timeout = float(plan["timeout"])
        self._event = float(plan["event"])
        self._verbose = bool(plan["verbose"])
        self._special = Special(self, plan)
        self._files = Files(client) if plan["assets"] else None
        self._public = bool(plan["public"])
        self._contexts: set[Context] = set()
        self._count = 0

    async def answer(self, connection: Connection, incoming: Incoming) -> None:
        """One HTTP request. The client leaving cancels the handler, but not its waitUntil work."""
        try:
            request, ray = self._request(incoming, connection.peer)
        except (TypeError, ValueError) as error:
            await self._plain(connection, 400, f"this request cannot be read: {error}")
            return
        if self._special.takes(request.url):
            await self._special.answer(connection, request)
            return
        if self._files is not None:
            found = await self._files.answer(request)
            if found is not None:
                await self.send(connection, found)
                return
        context = self._begin(ray)
        try:
            response = await self._within(self._fetch(request, context), self._timeout)
            if response is None:
                await self._refuse(connection, request, HUNG)
            elif response.web_socket is not None:
                await response.web_socket.serve(connection, incoming, response)
            else:
                await self.send(connection, response)
        except Exception as error:  # the boundary: a client sees a status, the log the traceback
            if not (isinstance(error, ConnectionError) and connection.transport.is_closing()):
                self._log.exception(error)
                await self._refuse(connection, request, trace(error))
        finally:
            self._end(context)

    async def _within(self, work: Coroutine[Any, Any, T], limit: float) -> T | None:
        """What the handler returned; None where it was cut off: it took `limit` seconds, waited
        for nothing of the node and computed nothing.

        In a task of its own, so that one that swallows its cancellation is answered for, too.
        """
        task = asyncio.ensure_future(_no_exit(work))
        try:
            while True:
                computed = time.process_time()
                done, _ = await asyncio.wait((task,), timeout=limit or None)
                if done:
                    return await task
                computed = time.process_time() - computed
                if not self._client.active and computed < BUSY * limit:
                    break
        except asyncio.CancelledError:
            task.cancel()
            raise
        task.cancel()
        self._log.write("error", HUNG, kind="exception")
        return None

    async def event(self, message: dict[str, Any]) -> dict[str, Any]:
        """A cron event or a batch: its outcome, for the node."""
        self._count += 1
        context = self._begin(f"event-{self._count}")
        kind = "scheduled" if "scheduled" in message else "queue"
        event: Any
        if kind == "scheduled":
            event = ScheduledController(message["scheduled"])
        else:
            event = MessageBatch(message["queue"])
        outcome = "ok"
        try:
            if not await self._within(self._deliver(kind, event, context), self._event):
                outcome = "exceededWallTime"
        except Exception as error:  # the boundary: the node sees an outcome, the log the traceback
            self._log.exception(error)
            outcome = "exception"
        await context.settled()
        self._end(context)
        return {"outcome": outcome, **event.result()}

    async def _deliver(self, kind: str, event: Any, context: Context) -> bool:
        await self._handlers.run(kind, event, self._env, context)
        return True

    async def settle(self, grace: float) -> None:
        """Wait for what waitUntil promised, at most `grace` seconds."""
        pending = [asyncio.ensure_future(context.settled()) for context in list(self._contexts)]
        if pending:
            await asyncio.wait(pending, timeout=grace)
            for task in pending:
                task.cancel()

    def _begin(self, request_id: str) -> Context:
        context = Context(request_id, lambda error: self._log.exception(error, kind="waitUntil"))
        CURRENT.set(context)
        self._contexts.add(context)
        return context

    def _end(self, context: Context) -> None:
        flush = asyncio.ensure_future(context.settled())
        flush.add_done_callback(lambda _: self._contexts.discard(context))

    def _request(self, incoming: Incoming, peer: str) -> tuple[Request, str]:
        self._count += 1
        scheme, host, ray = "http", "localhost", f"{self._count:x}"
        shown: Pairs = []
        for name, value in incoming.headers:
            low = name.lower()
            if self._public and low == CLIENT:
                continue  # whoever connects to us is the client, whatever it says
            if not low.startswith(INTERNAL):
                shown.append((low, value))
                if low == "host":
                    host = value
                elif low == "cf-ray":
                    ray = value
        if self._public and peer:
            shown.append((CLIENT, peer))
        target = incoming.target
        url = target if target.startswith(("http://", "https://")) else f"{scheme}://{host}{target}"
        body = ReadableStream(incoming.body()) if incoming.has_body else None
        if body is not None and incoming.method in ("GET", "HEAD"):
            body = None
        return Request(url, method=incoming.method, headers=shown, body=body, cf=self._cf), ray

    async def _fetch(self, request: Request, context: Context) -> Response:
        made = await self._handlers.run("fetch", request, self._env, context)
        if isinstance(made, Response):
            return made
        raise TypeError(
            f"fetch() must return a Response, not {type(made).__name__}:"
            " return Response(text) or Response.json(data)"
        )

    async def send(self, connection: Connection, response: Response) -> None:
        reason = flatten(response.status_text) or _reason(response.status)
        body = response.take()
        headers = response.headers.raw()
        if isinstance(body, ReadableStream):
            await connection.send(response.status, reason, headers, _pieces(body))
        else:
            await connection.send(response.status, reason, headers, body or b"")

    async def _refuse(self, connection: Connection, request: Request, said: str) -> None:
        """Cloudflare's answer for a worker that threw; a stream that has begun is cut instead."""
        if connection.started:
            connection.transport.abort()
            return
        said = said if self._verbose else ""
        if "text/html" in (request.headers["accept"] or ""):
            await self._plain(connection, 500, PAGE.format(escape(said)), "html")
        else:
            await self._plain(connection, 500, f"error code: 1101\n{said}".rstrip())

    async def _plain(
        self, connection: Connection, status: int, text: str, kind: str = "plain"
    ) -> None:
        headers = [("content-type", f"text/{kind}; charset=utf-8")]
        await connection.send(status, _reason(status), headers, text.encode())


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def _pieces(stream: ReadableStream) -> AsyncIterator[bytes]:
    try:
        async for piece in stream:
            yield as_bytes(piece)
    finally:
        await stream.cancel()


async def _no_exit(work: Coroutine[Any, Any, T]) -> T:
    """sys.exit() in a handler ends the request, not the process."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the handler raised {type(error).__name__}") from error
