"""The REST API of the stores for commands: a running node's, or one that lives for the command.

With --url a node is asked. Without it the same faces are served on a socket that only this
process knows, on the files of the data directory: one way of doing things, and one set of errors.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from skerry.errors import StorageError

if TYPE_CHECKING:
    import aiohttp

    from skerry.settings import Settings

T = TypeVar("T")

Url = Annotated[
    str | None,
    typer.Option(
        help="Ask this running node; else the data directory's own files are used.",
        envvar="SKERRY_URL",
        show_default=False,
    ),
]
TIMEOUT = 900.0
"""Seconds that a command may take: an import is one request."""


class Rest:
    """Calls below /client/v4/accounts/{account}."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self.base = base

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """The `result` of an answer. Raises StorageError in the API's words."""
        result, _ = await self.paged(method, path, **more)
        return result

    async def paged(self, method: str, path: str, **more: Any) -> tuple[Any, dict[str, Any]]:
        """`result` and `result_info`. Raises StorageError."""
        async with self.raw(method, path, **more) as answer:
            body = await answer.json(content_type=None)
        return body["result"], body.get("result_info") or {}

    @asynccontextmanager
    async def raw(
        self, method: str, path: str, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer itself. Raises StorageError."""
        import aiohttp
        from yarl import URL

        full = path if "://" in path else self.base + path
        try:
            async with self._session.request(method, URL(full, encoded=True), **more) as answer:
                if answer.status >= 400:
                    raise await _refused(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StorageError(
                f"{self.base}: {error or 'no answer in time'}", status=503
            ) from error


async def _refused(answer: aiohttp.ClientResponse) -> StorageError:
    text = await answer.text(errors="replace")
    try:
        import msgspec

        errors = msgspec.json.decode(text)["errors"]
        first = errors[0]
        return StorageError(str(first["message"]), code=int(first["code"]), status=answer.status)
    except (ValueError, LookupError, TypeError):
        return StorageError(f"{answer.status} {answer.reason}: {text[:200]}", status=answer.status)


def with_rest(
    settings: Settings, url: str | None, account: str, work: Callable[[Rest], Awaitable[T]]
) -> T:
    """`work(rest)` in an event loop of its own."""

    async def run() -> T:
        import aiohttp

        headers = {}
        token = os.environ.get("SKERRY_TOKEN")
        if url is not None and token:
            headers["Authorization"] = f"Bearer {token}"
        async with AsyncExitStack() as stack:
            base = url.rstrip("/") if url is not None else "http://skerry"
            connector = None
            if url is None:
                path = await stack.enter_async_context(_served(settings))
                connector = aiohttp.UnixConnector(str(path))
            session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=connector,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(TIMEOUT),
                )
            )
            return await work(Rest(session, f"{base}/client/v4/accounts/{account}"))

    return asyncio.run(run())


@asynccontextmanager
async def _served(settings: Settings) -> AsyncIterator[Path]:
    """The faces on a socket of this process; its path."""
    from aiohttp import web

    from skerry.api.storage.routes import storage_routes
    from skerry.storage.open import Stores

    stores = Stores(settings.data_dir.expanduser())
    app = web.Application()
    app.add_routes(storage_routes(stores))
    runner = web.AppRunner(app, access_log=None)
    try:
        with tempfile.TemporaryDirectory(prefix="skerry-") as folder:  # mode 0700
            await runner.setup()
            path = Path(folder) / "rest.sock"
            await web.UnixSite(runner, str(path)).start()
            yield path
    finally:
        await runner.cleanup()
        await stores.close()
