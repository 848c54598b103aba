"""workerd and esbuild: pinned npm packages, fetched once, verified, kept in the data directory.

tools/workerd-1.20261117.1/bin/workerd      whole and verified, made by one rename
tools/.work/…                               a fetch under way
tools/.locks/…
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from skerry.catalog.archives import extract
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.files import CHUNK, full_disk, sync
from skerry.catalog.locks import locked
from skerry.catalog.mirrors.base import Fetch
from skerry.catalog.mirrors.npm import NpmPackages
from skerry.catalog.progress import Meter, Progress
from skerry.catalog.workspace import Workspace
from skerry.errors import ArtifactError, HashMismatch, Offline

KEPT = ("PATH", "HOME", "TMPDIR")
"""Variables that a tool gets of the node's environment."""

Report = Callable[[Progress], None]


class Tool(msgspec.Struct, frozen=True):
    """One program, as the npm registry has it for each kind of machine."""

    name: str
    version: str
    member: str
    """The program inside the package."""
    packages: Mapping[str, tuple[str, str]]
    """"linux-x64" -> (package, its integrity as the registry gives it)."""


WORKERD = Tool(
    "workerd",
    "1.20261117.1",
    "bin/workerd",
    {
        "linux-x64": (
            "@cloudflare/workerd-linux-64",
            "sha512-gZLA8X11m/luZwn+YA3+mDu61vdxNJzpksP/QZqjydKTQ+VUCulsK5gtn9Bqst1p3KJu2kafQpJ1nDQv4B23jA==",
        ),
        "linux-arm64": (
            "@cloudflare/workerd-linux-arm64",
            "sha512-gxWngFojq41ULKNKb9rpWYvKotN5hT2I/xot+Bpy31cXzrwcTgtDLSMb2t75sW5BJxH7hihFvikgYb577kB3Zg==",
        ),
        "darwin-x64": (
            "@cloudflare/workerd-darwin-64",
            "sha512-qfAYw6iPoey0BmPsp4z5ARWOa+XSBD3gQzmcBI2ql9pKTSA5eEC8F1oI6BIk/FVguhomfSn5gS4RzbWhTd/EpQ==",
        ),
        "darwin-arm64": (
            "@cloudflare/workerd-darwin-arm64",
            "sha512-cInx5Cr9O27oW+ujyI49lTRQZra/lMgWUFiKmGY3jxDncATSxzfQ6udXHkVvK4//1/PfxQTDyMjdQUIN8m6Aqg==",
        ),
    },
)
"""The Workers runtime itself (Apache-2.0)."""

ESBUILD = Tool(
    "esbuild",
    "0.28.2",
    "bin/esbuild",
    {
        "linux-x64": (
            "@esbuild/linux-x64",
            "sha512-4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==",
        ),
        "linux-arm64": (
            "@esbuild/linux-arm64",
            "sha512-pW4AC0P3it8c7do9MVM4p51FzHzdM/TZrerurgRcHJ2WTa1VQ1CIq18xncfpBJw4ojkiZZrKW2yIBWBP92j6Ug==",
        ),
        "darwin-x64": (
            "@esbuild/darwin-x64",
            "sha512-uq6suIWYP37qzGddBKPw5QEQPi6HiLGsO7UmkpfyaYNQ3D+rN6w6WfwH+nuqcGXWvawGwxOEroO4YGnFh95azw==",
        ),
        "darwin-arm64": (
            "@esbuild/darwin-arm64",
            "sha512-n4KqkOQrraxHJcgjM1RvwbigfQKIKJVpM7xp+KsxiyUSrRdIXnt73VhrPAx0fV44hgfmIVKjxMN9J1t5jySVkw==",
        ),
    },
)
"""The bundler (MIT)."""


def this_machine() -> str:
    """ "linux-x64" and the like."""
    machine = platform.machine().lower()
    cpu = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(machine)
    return f"{sys.platform}-{cpu or machine}"


class Toolchain:
    """Where the programs are. Any number of processes may share `root`."""

    def __init__(
        self,
        root: Path,
        *,
        offline: bool = False,
        report: Report | None = None,
        npm: NpmPackages | None = None,
        machine: str | None = None,
    ) -> None:
        self._root = root
        self._offline = offline
        self._report = report or (lambda _: None)
        self._npm = npm or NpmPackages(os.environ, Path.home())
        self._machine = machine or this_machine()

    async def workerd(self) -> Path:
        """The runtime, fetched if it is not there. Raises ArtifactError, Offline, HashMismatch."""
        return await self.path(WORKERD)

    async def esbuild(self) -> Path:
        """The bundler, likewise."""
        return await self.path(ESBUILD)

    async def path(self, tool: Tool) -> Path:
        """A program, fetched if it is not there. Raises ArtifactError, Offline, HashMismatch."""
        home = self._root / f"{tool.name}-{tool.version}-{self._machine}"
        program = home / tool.member
        if program.is_file():
            return program
        found = tool.packages.get(self._machine)
        if found is None:
            raise ArtifactError(
                f"{tool.name} has no package for {self._machine}; it runs on"
                f" {', '.join(tool.packages)}"
            )
        package, integrity = found
        if self._offline:
            raise Offline(
                f"{tool.name} {tool.version} is not in {self._root} and the network is closed"
                " (offline). Start once without --offline; or copy the folder"
                f" {home.name} from a machine that has it"
            )
        async with locked(self._root / ".locks" / home.name):
            if not program.is_file():
                await self._fetch(tool, package, integrity, home)
        return program

    async def _fetch(self, tool: Tool, package: str, integrity: str, home: Path) -> None:
        name = f"{tool.name} {tool.version}"
        meter = Meter(name, {package: None}, self._report)
        async with Workspace(self._root / ".work" / home.name) as work:
            want = Fetch(
                path=work.folder / "program",
                size=None,
                sha256=None,
                work=work,
                at=lambda done: meter.at(package, done),
                sized=lambda total: meter.size(package, total),
            )
            try:
                archive = await self._npm.tarball(package, tool.version, want)
                meter.tell("verify", package)
                if await run_blocking(lambda stop: integrity_of(archive, stop)) != integrity:
                    archive.unlink()
                    raise HashMismatch(
                        "the registry sent other bytes than this version of Skerry names;"
                        " ask the registry's keeper, or try another one"
                    )
                await run_blocking(lambda stop: _install(archive, tool, home, stop))
            except ArtifactError as error:
                raise type(error)(f"{name} (npm:{package}@{tool.version}): {error}") from error
            await work.finish()
        meter.tell("done")


def integrity_of(path: Path, stop: Stop) -> str:
    """A file's hash in the form of npm's `integrity`. Blocking."""
    digest = hashlib.sha512()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            stop.check()
            digest.update(chunk)
    return f"sha512-{base64.b64encode(digest.digest()).decode()}"


def _install(archive: Path, tool: Tool, home: Path, stop: Stop) -> None:
    """Take the program out and put its folder in place by one rename."""
    made = archive.with_name(f"{archive.name}.made")
    shutil.rmtree(made, ignore_errors=True)
    program = made / tool.member
    with full_disk(tool.name, home.parent):
        program.parent.mkdir(parents=True)
        extract(archive, f"package/{tool.member}", program, stop)
        program.chmod(0o755)
        sync(program)
        shutil.rmtree(home, ignore_errors=True)
        made.replace(home)
        sync(home.parent)


async def run_tool(
    program: Path, arguments: list[str], cwd: Path, timeout: float
) -> tuple[int, str]:
    """Run a program to its end: exit status and what it wrote to stderr.

    Raises ArtifactError where it cannot be started, TimeoutError. Ended with the task.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            cwd=cwd,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ArtifactError(f"{program.name} cannot be started: {error}") from error
    try:
        async with asyncio.timeout(timeout):
            _, words = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, words.decode(errors="replace")
