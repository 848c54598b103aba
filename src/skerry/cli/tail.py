"""skerry tail."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from skerry.cli import options
from skerry.cli.loop import on_signals, run_loop
from skerry.cli.worker_logs import LogPrinter
from skerry.errors import WorkerError

Worker = Annotated[
    str | None, typer.Argument(help="A worker's name; all of them where none is given.")
]
Url = Annotated[
    str,
    typer.Option(help="The node's address.", envvar="SKERRY_URL"),
]
Recent = Annotated[int, typer.Option(min=0, max=200, help="Show so many of the last events first.")]


def tail(
    worker: Worker = None,
    *,
    url: Url = "http://127.0.0.1:8787",
    recent: Recent = 0,
    json: options.Json = False,
) -> None:
    """Show what workers say as it happens: console.log, exceptions, failed waitUntil.

    Ends with Ctrl-C, or when the node stops.

    Examples: `skerry tail`, `skerry tail my-worker --recent 50 --json`
    """
    run_loop(_tail(url, worker, recent, LogPrinter(json=json)))


async def _tail(url: str, worker: str | None, recent: int, printer: LogPrinter) -> None:
    import aiohttp
    import msgspec

    from skerry.workers.logs import LogEvent

    main = asyncio.current_task()
    assert main is not None
    on_signals(main)
    token = os.environ.get("SKERRY_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    query = {"recent": str(recent)} | ({"worker": worker} if worker else {})
    path = f"{url.rstrip('/')}/client/v4/accounts/local/workers/logs"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(path, params=query) as answer,
        ):
            if answer.status != 200:
                raise WorkerError(f"{path}: HTTP {answer.status} {answer.reason}")
            async for line in answer.content:
                if line.startswith(b"data: "):
                    printer.show(msgspec.json.decode(line[6:], type=LogEvent))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise WorkerError(f"no node answers at {url}: {error}; start one: skerry dev") from error
    except asyncio.CancelledError:
        main.uncancel()  # Ctrl-C: the usual end
