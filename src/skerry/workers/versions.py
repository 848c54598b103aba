"""One version of a worker's code, from its sources to a process that answers."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from skerry.workers.build import Bundle, Source, bundle
from skerry.workers.logs import LogEvent
from skerry.workers.project import Project
from skerry.workers.sandbox import Sandbox
from skerry.workers.sourcemap import SourceMap
from skerry.workers.toolchain import Toolchain
from skerry.workers.workerd.config import Faces, Options, write_config
from skerry.workers.workerd.host import WorkerdHost
from skerry.workers.workerd.lines import LineReader


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
    inject: Sequence[Path] = ()


class Version:
    """A process with one version of the code, and what belongs to it."""

    def __init__(
        self,
        number: int,
        folder: Path,
        project: Project,
        built: Bundle,
        on_end: Callable[[int], None],
    ) -> None:
        self.number = number
        self.folder = folder
        self.project = project
        self.bundle = built
        self.on_end = on_end
        self.host: WorkerdHost | None = None
        self.door: Door | None = None

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
        toolchain: Toolchain,
        sandbox: Sandbox,
        doors: Doors,
        sink: Callable[[LogEvent], None],
    ) -> None:
        self._plan = plan
        self._toolchain = toolchain
        self._sandbox = sandbox
        self._doors = doors
        self._sink = sink
        self._count = 0

    async def make(self, project: Project, on_end: Callable[[int], None]) -> Version:
        """Bundle and start. Raises ProjectError, BuildError, WorkerError, ArtifactError."""
        esbuild = await self._toolchain.esbuild()
        folder = await self._folder()
        try:
            source = Source.of(project, self._plan.inject)
            built = await bundle(source, folder / "code", esbuild)
            version = Version(self._count, folder, project, built, on_end)
            await self.start(version)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise
        return version

    async def notice(
        self, project: Project, error: Exception, on_end: Callable[[int], None]
    ) -> Version:
        """A version that only tells why there is none."""
        folder = await self._folder()
        said = msgspec.json.encode(str(error)).decode()
        code = (Path(__file__).with_name("workerd") / "js" / "notice.js").read_text()
        built = Bundle(folder=folder / "code", modules=(), exports=(), inputs=())
        built.code.write_text(f"const SAID = {said};\n{code}")
        bare = Project(root=project.root, name=project.name, main=None, language="javascript")
        version = Version(self._count, folder, bare, built, on_end)
        await self.start(version)
        return version

    async def start(self, version: Version) -> None:
        """Start the process of a version, also anew. Raises WorkerError, ArtifactError."""
        workerd = await self._toolchain.workerd()
        plan, folder = self._plan, version.folder
        if version.door is None:
            sockets = folder / "sockets" / "bindings.sock"
            version.door = await self._doors.open(version.project, sockets)
            config = await asyncio.to_thread(
                write_config,
                version.project,
                version.bundle,
                Faces(bindings=sockets, api=plan.api),
                plan.options,
            )
        else:
            config = version.bundle.folder / "config.capnp"
        reader = LineReader(version.project.name, await asyncio.to_thread(_sources, version))
        host = WorkerdHost(
            name=version.project.name,
            workerd=workerd,
            config=config,
            listener=plan.listener,
            sockets=[folder / "sockets", *([plan.api.parent] if plan.api is not None else [])],
            control=folder / "control.sock",
            sandbox=self._sandbox,
            on_line=lambda line, error: self._sink(reader.read(line, error=error)),
            on_end=version.on_end,
        )
        if version.host is not None:
            await version.host.stop(0.0)
        try:
            await host.start()
        except BaseException:
            if version.host is None:
                await version.door.close()
            raise
        version.host = host

    async def _folder(self) -> Path:
        self._count += 1
        folder = self._plan.run / f"v{self._count}"
        for name in ("code", "sockets"):
            await asyncio.to_thread((folder / name).mkdir, parents=True)
        return folder


def _sources(version: Version) -> SourceMap | None:
    try:
        data = version.bundle.source_map.read_bytes()
    except FileNotFoundError:
        return None
    return SourceMap(data, version.bundle.folder, version.project.root)
