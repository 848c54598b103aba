"""A worker's process: `boot.py LISTEN CONTROL LOG`, three descriptors that the node opened.

It reads its plan from the control line, loads the project, says that it is ready, and then answers
HTTP on LISTEN and events on CONTROL until it is told to stop or the node goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import site
import socket
import sys
from pathlib import Path
from typing import Any

from _skerry.app import App
from _skerry.bindings.fetchers import Caches
from _skerry.bindings.plan import make_env
from _skerry.client import Client
from _skerry.context import CURRENT
from _skerry.control import Control
from _skerry.handlers import Handlers, load
from _skerry.handover import Handover
from _skerry.logs import Console, Log, Records, Stdout, trace
from _skerry.server import Server
from _skerry.state import RUNTIME, Runtime
from _skerry.watchdog import Watchdog

PR_SET_PDEATHSIG = 1


def main(listen: int, control: int, log: int) -> int:
    """The exit status."""
    # Ends with the node, however that ends; within a sandbox its own --die-with-parent does it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_serve(listen, Control(control), Log(log)))
    return 0


async def _serve(listen: int, control: Control, log: Log) -> int:
    await control.open()
    plan = await control.receive()
    if plan is None:
        return 0
    _route_output(log)
    _extend_path(plan)
    client = Client(plan["socket"])
    env = make_env(plan, client)
    RUNTIME.set(
        Runtime(
            env=env,
            client=client,
            log=log,
            loop=asyncio.get_running_loop(),
            console=Console(log),
            caches=Caches(client),
        )
    )
    app: App | None = None
    ends = plan["handover"]
    server = Server(
        socket.socket(fileno=listen),
        lambda *each: _app(app).answer(*each),
        Handover(*ends) if ends else None,
    )
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(
        log, server.connections, loop.call_soon_threadsafe,
        cpu=plan["cpu"], wall=plan["wall"], memory=plan["memory"],
    )  # fmt: skip
    try:
        handlers = Handlers(load(Path(plan["main"])))
    except BaseException as error:  # SystemExit too: told, not obeyed
        control.send(failed=trace(error))
        await control.flush()
        return 1
    watchdog.loaded()
    watchdog.start()
    app = App(handlers, env, log, client, plan)
    await server.start()
    control.send(ready=handlers.names)
    running: set[asyncio.Task[None]] = set()
    grace, hand_over = await _obey(control, app, running)
    await server.finish(grace, hand_over=hand_over)
    if running:
        await asyncio.wait(running, timeout=grace)
    await app.settle(grace)
    with contextlib.suppress(OSError):
        await control.flush()
    # At once: asyncio.run() would wait for tasks that swallow their cancellation.
    os._exit(0)


def _app(app: App | None) -> App:
    assert app is not None
    return app


async def _obey(control: Control, app: App, running: set[asyncio.Task[None]]) -> tuple[float, bool]:
    """Take events until the node says stop; how many seconds of grace it gives, and whether
    another process follows."""
    while (message := await control.receive()) is not None:
        if "stop" in message:
            return float(message["stop"]), bool(message["hand_over"])
        if "ping" in message:
            control.send(id=message["id"], result={})
            continue
        task = asyncio.ensure_future(_event(control, app, message))
        running.add(task)
        task.add_done_callback(running.discard)
    return 0.0, False


async def _event(control: Control, app: App, message: dict[str, Any]) -> None:
    result = await app.event(message)
    control.send(id=message["id"], result=result)


def _route_output(log: Log) -> None:
    sys.stdout, sys.stderr = Stdout(log, "log"), Stdout(log, "error")
    logging.basicConfig(level=logging.INFO, handlers=[Records(log)])
    logging.getLogger("asyncio").setLevel(logging.WARNING)

    def unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            log.exception(error)
        else:
            log.write("error", context.get("message"))

    asyncio.get_running_loop().set_exception_handler(unhandled)
    CURRENT.set(None)


def _extend_path(plan: dict[str, Any]) -> None:
    """The project's folder, then its packages; this runtime stands before both."""
    sys.path.insert(1, str(Path(plan["main"]).parent))
    for folder in plan["packages"]:
        if Path(folder).is_dir():
            site.addsitedir(folder)
    os.chdir(plan["root"])
