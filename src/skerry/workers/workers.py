"""The workers of a node: opens them, and stops them together."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from skerry.settings import Settings
from skerry.workers.cf import Client, cf_object
from skerry.workers.events import Events, EventStores
from skerry.workers.follow import Follower
from skerry.workers.logs import LogEvent, LogHub
from skerry.workers.packages import Packages
from skerry.workers.project import Project
from skerry.workers.python.environment import Environments
from skerry.workers.run_folder import RunFolder
from skerry.workers.sandbox import Sandbox
from skerry.workers.supervisor import Supervisor
from skerry.workers.toolchain import Toolchain
from skerry.workers.versions import Door, Doors, Maker, Plan
from skerry.workers.watchdog import Limits
from skerry.workers.workerd.config import Options

RESERVED = (
    "/client/v4/*", "/console", "/console/*", "/v1/chat/completions", "/v1/completions",
    "/v1/embeddings", "/v1/messages", "/v1/models", "/v1/models/*", "/v1/responses",
    "/v1/responses/*",
    "/openapi.json", "/docs", "/docs/*", "/healthz", "/readyz", "/version",
)  # fmt: skip
"""Paths of the node's own API, as a worker's entry module is told them."""
BACKLOG = 1024
STOP = 5.0
"""Seconds that requests in flight have when the node stops."""


class Workers:
    """Opens workers on listening sockets of this node."""

    def __init__(
        self,
        settings: Settings,
        *,
        toolchain: Toolchain,
        sandbox: Sandbox,
        doors: Doors,
        api: Callable[[Path], Awaitable[Door]],
        stores: EventStores,
        account: str,
        logs: LogHub,
    ) -> None:
        """api: serves the node's own API on a unix socket. account: whose workers they are."""
        self._settings = settings
        self._limits = Limits(cpu=settings.worker_cpu, memory=settings.worker_memory)
        self._toolchain = toolchain
        self._packages = Packages(
            settings.data_dir / "locks", offline=settings.offline, tell=self._tell
        )
        self._environments = Environments(
            settings.data_dir / "python-envs", offline=settings.offline, tell=self._tell
        )
        self._doors = doors
        self._serve_api = api
        self._stores = stores
        self._account = account
        self._api: Door | None = None
        self._run: RunFolder | None = None
        self._opened: list[tuple[Supervisor, socket.socket]] = []
        self._following: list[asyncio.Task[None]] = []
        self.sandbox = sandbox
        self.logs = logs

    def _say(self, event: LogEvent) -> None:
        self.logs.put(event)

    def _tell(self, text: str) -> None:
        self._say(LogEvent(timestamp=time.time(), worker="", message=[text], kind="host"))

    def find(self, name: str) -> tuple[str, int] | None:
        """Where the worker of this name listens; None where it does not run."""
        for supervisor, listener in self._opened:
            if supervisor.name == name and supervisor.version is not None:
                host, port = listener.getsockname()[:2]
                return host, port
        return None

    async def open(
        self,
        load: Callable[[], Project],
        *,
        follow: Path | None = None,
        host: str,
        port: int,
        inject: Sequence[Path] = (),
        claim: Sequence[str] = (),
        api: bool = True,
        test_scheduled: bool = False,
    ) -> tuple[Supervisor, int]:
        """A worker on HOST:PORT, not started yet, and the port. Raises OSError where it is taken.

        follow: the project's folder or file, where it is to be watched for changes.
        claim: paths of the node's API (/v1/*) that go to the worker all the same. api: whether
        the node's API is served beside the worker at all.
        """
        run = await self._folder()
        listener = listen(host, port)
        port = listener.getsockname()[1]
        settings = self._settings
        plan = Plan(
            run=Path(tempfile.mkdtemp(prefix="w", dir=run)),
            listener=listener,
            api=run / "api" / "api.sock",
            options=Options(
                reserved=[path for path in RESERVED if api and not _claimed(path, claim)],
                cf=cf_object(settings.place, Client(), {}),
                timeout=settings.worker_timeout,
                test_scheduled=test_scheduled,
            ),
            limits=self._limits,
            inject=inject,
        )
        supervisor = Supervisor(
            load=load,
            maker=Maker(
                plan,
                toolchain=self._toolchain,
                packages=self._packages,
                environments=self._environments,
                sandbox=self.sandbox,
                doors=self._doors,
                sink=self._say,
            ),
            limits=self._limits,
            port=port,
            sink=self._say,
            events=lambda host: Events(self._account, self._stores, host),
        )
        self._opened.append((supervisor, listener))
        if follow is not None:
            follower = Follower(supervisor, follow, self._say)
            self._following.append(asyncio.create_task(follower.run()))
        return supervisor, port

    async def _folder(self) -> Path:
        if self._run is None:
            self._run = await asyncio.to_thread(RunFolder)
            folder = self._run.path / "api"
            folder.mkdir()
            self._api = await self._serve_api(folder / "api.sock")
        return self._run.path

    async def close(self) -> None:
        """Stop every worker: what is in flight ends within its grace."""
        following, self._following = self._following, []
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        opened, self._opened = self._opened, []
        await asyncio.gather(*(supervisor.stop(STOP) for supervisor, _ in opened))
        for _, listener in opened:
            listener.close()
        if self._api is not None:
            await self._api.close()
            self._api = None
        if self._run is not None:
            await asyncio.to_thread(self._run.remove)
            self._run = None


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _claimed(path: str, claim: Sequence[str]) -> bool:
    bare = path.rstrip("*")
    return any(
        bare.startswith(each.rstrip("*")) if each.endswith("*") else path == each for each in claim
    )
