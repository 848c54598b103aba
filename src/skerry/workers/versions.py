"""One version of a worker's code, from its sources to a process that answers."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from skerry.workers.build import Bundle, Source, bundle
from skerry.workers.logs import LogSink
from skerry.workers.packages import Packages
from skerry.workers.project import Project
from skerry.workers.python.environment import Environments
from skerry.workers.python.handover import Handover
from skerry.workers.python.host import PythonHost
from skerry.workers.python.notice import notice_project
from skerry.workers.sandbox import Sandbox
from skerry.workers.sourcemap import SourceMap
from skerry.workers.toolchain import Toolchain
from skerry.workers.watchdog import Limits
from skerry.workers.workerd.config import JS, Faces, Options, write_config
from skerry.workers.workerd.host import WorkerdHost
from skerry.workers.workerd.lines import LineReader

CODE, SOCKETS = "code", "sockets"
"""Folders of a version: what runs, and the sockets of the node that it may reach."""


class Door(Protocol):
    """The far end of one version's bindings, open."""

    async def close(self) -> None:
        """Answer what waits, then close."""


class Doors(Protocol):
    """Whatever serves the bindings of workers."""

    async def open(self, project: Project, path: Path) -> Door:
        """Serve the project's bindings on the unix socket `path`."""


class Plan(msgspec.Struct, kw_only=True, frozen=True):
    """What is the same for every version of a worker."""

    run: Path
    """A folder of its own with a short name: unix sockets have short paths."""
    listener: socket.socket
    """What HTTP comes in by; owned by whoever made it."""
    api: Path | None
    """The socket of the node's API, in a folder of its own."""
    options: Options
    limits: Limits
    inject: Sequence[Path] = ()


Ended = Callable[[int], None]
"""Called with the exit status of a process that had started."""


class Version:
    """A process with one version of the code, and what belongs to it."""

    def __init__(self, folder: Path, project: Project, built: Bundle | None, on_end: Ended) -> None:
        self.folder = folder
        self.project = project
        self.bundle = built
        """None for Python, whose sources run as they are."""
        self.on_end = on_end
        self.host: WorkerdHost | PythonHost | None = None
        self.door: Door | None = None

    @property
    def inputs(self) -> Sequence[Path]:
        """The files that it was made of, as far as is known."""
        return () if self.bundle is None else self.bundle.inputs

    async def stop(self, grace: float) -> None:
        """Let requests in flight end, then stop the process and its bindings."""
        if self.host is not None:
            await self.host.stop(grace)
        if self.door is not None:
            await self.door.close()
        await asyncio.to_thread(shutil.rmtree, self.folder, True)


class Maker:
    """Makes versions."""

    def __init__(
        self,
        plan: Plan,
        *,
        toolchain: Toolchain,
        packages: Packages,
        environments: Environments,
        sandbox: Sandbox,
        doors: Doors,
        sink: LogSink,
    ) -> None:
        self._plan = plan
        self._toolchain = toolchain
        self._packages = packages
        self._environments = environments
        self._sandbox = sandbox
        self._doors = doors
        self._sink = sink
        self._handover = Handover()
        self._count = 0

    async def make(self, project: Project, on_end: Ended) -> Version:
        """Bundle and start. Raises ProjectError, BuildError, WorkerError, ArtifactError."""
        async with self._folder() as folder:
            built = None
            if project.language != "python":
                built = await self._bundle(project, folder / CODE)
            version = Version(folder, project, built, on_end)
            await self.start(version)
        return version

    async def _bundle(self, project: Project, folder: Path) -> Bundle:
        if project.main is None:
            built = Bundle(folder=folder, modules=(), exports=(), inputs=())
            await asyncio.to_thread(shutil.copyfile, JS / "static.js", built.code)
            return built
        await self._packages.ensure(project.root)
        esbuild = await self._toolchain.esbuild()
        return await bundle(Source.of(project, self._plan.inject), folder, esbuild)

    async def notice(self, project: Project, error: Exception, on_end: Ended) -> Version:
        """A version that only tells why there is none."""
        async with self._folder() as folder:
            if project.language == "python":
                version = Version(folder, notice_project(project, str(error)), None, on_end)
                await self.start(version)
                return version
            said = msgspec.json.encode(str(error)).decode()
            built = Bundle(folder=folder / CODE, modules=(), exports=(), inputs=())
            code = await asyncio.to_thread((JS / "notice.js").read_text)
            await asyncio.to_thread(built.code.write_text, f"const SAID = {said};\n{code}")
            bare = Project(root=project.root, name=project.name, main=None, language="javascript")
            version = Version(folder, bare, built, on_end)
            await self.start(version)
        return version

    async def start(self, version: Version) -> None:
        """Start the process of a version, also anew. Raises WorkerError, ArtifactError."""
        sockets = version.folder / SOCKETS / "bindings.sock"
        before, version.host = version.host, None
        if before is not None:
            await before.stop(0.0)
        if version.door is None:
            version.door = await self._doors.open(version.project, sockets)
        faces = Faces(bindings=sockets, api=self._plan.api)
        try:
            if version.bundle is None:
                version.host = await self._python(version, faces)
            else:
                version.host = await self._workerd(version, version.bundle, faces)
        except BaseException:
            await version.door.close()
            version.door = None
            raise

    async def _workerd(self, version: Version, built: Bundle, faces: Faces) -> WorkerdHost:
        plan, project, folder = self._plan, version.project, version.folder
        workerd = await self._toolchain.workerd()
        config = await asyncio.to_thread(write_config, project, built, faces, plan.options)
        reader = LineReader(project.name, await asyncio.to_thread(_sources, version, built))
        host = WorkerdHost(
            name=project.name,
            workerd=workerd,
            config=config,
            listener=plan.listener,
            sockets=[folder / SOCKETS, *([plan.api.parent] if plan.api is not None else [])],
            control=folder / "control.sock",
            sandbox=self._sandbox,
            on_line=lambda line, error: self._sink(reader.read(line, error=error)),
            on_end=version.on_end,
        )
        await host.start()
        return host

    async def _python(self, version: Version, faces: Faces) -> PythonHost:
        plan, project = self._plan, version.project
        host = PythonHost(
            project=project,
            faces=faces,
            options=plan.options,
            packages=await self._environments.packages(project.root),
            listener=plan.listener,
            sandbox=self._sandbox,
            on_log=self._sink,
            on_end=version.on_end,
            limits=plan.limits,
            handover=self._handover,
        )
        await host.start()
        return host

    def close(self) -> None:
        """No further version follows, and all are stopped."""
        self._handover.close()

    @contextlib.asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        """A new folder, gone again where what is made in it fails."""
        self._count += 1
        folder = self._plan.run / f"v{self._count}"
        for name in (CODE, SOCKETS):
            await asyncio.to_thread((folder / name).mkdir, parents=True)
        try:
            yield folder
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise


def _sources(version: Version, built: Bundle) -> SourceMap | None:
    try:
        data = built.source_map.read_bytes()
    except FileNotFoundError:
        return None
    return SourceMap(data, built.folder, version.project.root)
