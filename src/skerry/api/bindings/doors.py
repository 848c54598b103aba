"""Opens the far end of a worker's bindings: one unix socket, one face per binding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web

from skerry.api.bindings.base import BindingFace, bindings_app
from skerry.api.bindings.busy import BusyFace
from skerry.workers.project import Project
from skerry.workers.workerd.config import BUSY

KEEP_ALIVE = 3600.0
"""Seconds that an idle connection is kept. workerd drops its own after some 5 s; were ours near
that, requests would be sent into connections that are being closed."""
SHUTDOWN = 5.0


class OpenDoor:
    """One socket that is served."""

    def __init__(self, runner: web.AppRunner, path: Path) -> None:
        self._runner = runner
        self._path = path

    async def close(self) -> None:
        """Answer what waits, then close."""
        await self._runner.cleanup()
        self._path.unlink(missing_ok=True)


class BindingDoors:
    """Serves the bindings of any number of workers. `faces`: what a project is bound to."""

    def __init__(
        self, faces: Callable[[Project], Mapping[str, BindingFace]], max_body: int
    ) -> None:
        self._faces = faces
        self._max_body = max_body

    async def open(self, project: Project, path: Path) -> OpenDoor:
        """Serve the project's bindings on the unix socket `path`."""
        busy = BusyFace()
        faces = {name: busy.watching(face) for name, face in self._faces(project).items()}
        app = bindings_app(faces | {BUSY: busy}, self._max_body)
        return await serve_unix(app, path)


async def serve_unix(app: web.Application, path: Path) -> OpenDoor:
    """Serve an application on a unix socket that only this user may use."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE,
        shutdown_timeout=SHUTDOWN,
    )
    await runner.setup()
    await web.UnixSite(runner, str(path), backlog=1024).start()
    await asyncio.to_thread(path.chmod, 0o600)
    return OpenDoor(runner, path)
