"""A Python worker in a real process, its bindings' faces, and short ways to ask it."""

from __future__ import annotations

import asyncio
import json
import socket
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.doors import BindingDoors
from skerry.workers.bindings import Binding
from skerry.workers.logs import LogEvent
from skerry.workers.project import Project, Secrets
from skerry.workers.python.handover import Handover
from skerry.workers.python.host import PythonHost
from skerry.workers.sandbox import Sandbox, find_sandbox
from skerry.workers.watchdog import Limits
from skerry.workers.workerd.config import Faces, Options

Answer = Callable[[web.Request], Any]


class Fake(BindingFace):
    """Keeps what it was asked, and answers as told."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.method, request.path_qs, headers, body))
        made = self._answer(request)
        response: web.StreamResponse = await made if hasattr(made, "__await__") else made
        return response


def fake_json(value: Any, status: int = 200) -> Fake:
    """A face that always answers with this JSON."""
    data = json.dumps(value).encode()
    return Fake(
        lambda _: web.Response(
            status=status, body=data, headers={"content-type": "application/json"}
        )
    )


class Rig:
    """One worker: `await rig.get("/path")`, `rig.logs`, `rig.host`."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.folder = folder
        self.listener = listener
        self.logs: list[LogEvent] = []
        self.ends: list[int] = []
        self.hosts: list[PythonHost] = []
        self.project: Project
        self.faces: Faces
        self.sandbox: Sandbox
        self.options = Options()
        self.handover = Handover()
        self.limits = Limits()
        self.packages: Sequence[Path] = ()
        self.session: aiohttp.ClientSession

    @property
    def host(self) -> PythonHost:
        """The newest process."""
        return self.hosts[-1]

    def write(self, code: str, name: str = "entry.py") -> None:
        (self.folder / "project" / name).write_text(textwrap.dedent(code))

    async def start(self) -> PythonHost:
        """A process with the code as it is now; it stands beside those before."""
        host = PythonHost(
            project=self.project, faces=self.faces, options=self.options, packages=self.packages,
            listener=self.listener, sandbox=self.sandbox, on_log=self.logs.append,
            on_end=self.ends.append, limits=self.limits, handover=self.handover,
        )  # fmt: skip
        await host.start()
        self.hosts.append(host)
        return host

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and text."""
        async with self.session.request(method, f"http://worker.test{path}", **options) as got:
            return got.status, await got.text()

    async def get(self, path: str = "/", **options: Any) -> str:
        """The text of an answer of 200."""
        status, text = await self.ask("GET", path, **options)
        assert status == 200, text
        return text

    async def json(self, path: str = "/", **options: Any) -> Any:
        return json.loads(await self.get(path, **options))

    def said(self) -> list[str]:
        """The messages of the log, each as text."""
        return [" ".join(map(str, event.message)) for event in self.logs]


@asynccontextmanager
async def python_worker(
    folder: Path,
    code: str,
    *,
    faces: Mapping[str, BindingFace] | None = None,
    bindings: Sequence[Binding] = (),
    variables: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    start: bool = True,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """A worker of this code, started. settings: attributes of the Rig."""
    listener = socket.socket(socket.AF_UNIX)
    (folder / "project").mkdir()
    (folder / "s").mkdir()
    listener.bind(str(folder / "l.sock"))
    listener.listen(1024)
    listener.setblocking(False)
    rig = Rig(folder, listener)
    rig.write(code)
    for name, text in (files or {}).items():
        rig.write(text, name)
    rig.project = Project(
        root=folder / "project", name="worker", main=folder / "project" / "entry.py",
        language="python", bindings=tuple(bindings), vars=dict(variables or {}),
        secrets=Secrets(secrets or {}),
    )  # fmt: skip
    rig.sandbox = await find_sandbox()
    rig.faces = Faces(bindings=folder / "s" / "b.sock")
    for name, value in settings.items():
        setattr(rig, name, value)
    door = await BindingDoors(lambda _: dict(faces or {}), 64 << 20).open(
        rig.project, rig.faces.bindings
    )
    connector = aiohttp.UnixConnector(path=str(folder / "l.sock"))
    try:
        async with aiohttp.ClientSession(connector=connector) as rig.session:
            if start:
                await rig.start()
            yield rig
    finally:
        await asyncio.gather(*(host.stop(2.0) for host in rig.hosts))
        await door.close()
        listener.close()
        rig.handover.close()


async def eventually(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until `holds()`; fails where it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (what it waits for is outside this process)
            await asyncio.sleep(0.01)
