"""npm:package@version/member, through npm and the registry that npm is configured with."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from yarl import URL

from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.catalog.mirrors.command import run_client
from skerry.catalog.mirrors.http import download
from skerry.catalog.mirrors.npm_registry import find_registry, tarball_url
from skerry.catalog.mirrors.pypi import take
from skerry.catalog.workspace import At
from skerry.errors import ArtifactError

ADDRESS = re.compile(
    r"(?P<package>(?:@[a-z0-9._-]+/)?[a-z0-9._-]+)@(?P<version>[A-Za-z0-9.+-]+)/(?P<member>.+)"
)


def find_npm() -> str | None:
    """npm's path, if it is installed."""
    return shutil.which("npm")


class NpmPackages(Mirror):
    """Members of npm packages. Scripts of the package are never run."""

    scheme: ClassVar[str] = "npm"

    def __init__(
        self,
        environ: Mapping[str, str],
        home: Path,
        npm: Callable[[], str | None] = find_npm,
    ) -> None:
        """`environ` and `home` say which registry is configured, where npm is not installed."""
        self._environ = environ
        self._home = home
        self._npm = npm

    async def fetch(self, address: str, want: Fetch) -> None:
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise ArtifactError("is not of the form npm:package@version/member")
        archive = await self.tarball(match["package"], match["version"], want)
        await take(archive, f"package/{match['member']}", want)

    async def tarball(self, package: str, version: str, want: Fetch) -> Path:
        """The package as the registry has it, in the workspace of `want`. Raises ArtifactError."""

        async def make(path: Path, tell: At) -> None:
            npm = await asyncio.to_thread(self._npm)
            if npm is not None:
                await _pack(npm, package, version, path, tell)
            else:
                await self._download(package, version, path, want, tell)

        return await want.work.once(f"npm:{package}@{version}", make, want.at)

    async def _download(
        self, package: str, version: str, path: Path, want: Fetch, tell: At
    ) -> None:
        """Without npm: the registry's own protocol."""
        registry = await asyncio.to_thread(find_registry, package, self._environ, self._home)

        def part(name: str, at: At) -> Fetch:
            target = path.with_name(name)
            return Fetch(
                path=target, size=None, sha256=None, work=want.work, at=at, sized=lambda _: None
            )

        document = part("version.json", lambda _: None)
        url = registry.version_url(package, version)
        await download(url, document, headers=registry.headers)
        tarball = tarball_url(await asyncio.to_thread(document.path.read_bytes))
        same = URL(tarball).origin() == URL(registry.url).origin()
        await download(tarball, part(path.name, tell), headers=registry.headers if same else {})


async def _pack(npm: str, package: str, version: str, path: Path, tell: At) -> None:
    folder = path.parent
    command = [npm, "pack", "--ignore-scripts", "--silent", "--no-update-notifier"]
    command += ["--cache", str(folder / "cache"), "--pack-destination", str(folder)]
    await run_client([*command, f"{package}@{version}"], folder, {}, tell)
    tarballs = await asyncio.to_thread(lambda: list(folder.glob("*.tgz")))
    if len(tarballs) != 1:
        raise ArtifactError(f"npm brought {len(tarballs)} packages of {package}@{version}")
    await asyncio.to_thread(tarballs[0].rename, path)
