"""Folders with the packages of Python projects, one for each set of requirements.

python-envs/KEY/            made by one rename, once everything is installed
python-envs/.work/…         an installation under way
python-envs/.locks/KEY      held by whoever installs, in whatever process
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from skerry.catalog.locks import locked
from skerry.errors import ProjectError
from skerry.workers.python.requirements import Requirements, read_requirements

INSTALL = 900.0
"""Seconds that an installation may take."""
WORDS = 15
"""Lines of the installer that an error shows."""


class Environments:
    """Finds or makes the environment of a project, in `root`."""

    def __init__(
        self, root: Path, *, offline: bool, tell: Callable[[str], None] | None = None
    ) -> None:
        """tell: hears when an installation begins, which may take a while."""
        self._root = root
        self._offline = offline
        self._tell = tell or (lambda _: None)

    async def packages(self, project: Path) -> list[Path]:
        """The folders that a project's code may import from beside its own.

        Installs what is missing. Raises ProjectError with the installer's last words.
        """
        wanted = await asyncio.to_thread(read_requirements, project)
        vendored = project / "python_modules"
        found = [vendored] if await asyncio.to_thread(vendored.is_dir) else []
        if not wanted:
            return found
        folder = self._root / wanted.key
        if not await asyncio.to_thread(folder.is_dir):
            await self._make(wanted, project, folder)
        return [folder, *found]

    async def _make(self, wanted: Requirements, project: Path, folder: Path) -> None:
        locks = self._root / ".locks"
        await asyncio.to_thread(locks.mkdir, parents=True, exist_ok=True)
        async with locked(locks / wanted.key):
            if await asyncio.to_thread(folder.is_dir):
                return  # another process has made it meanwhile
            if not self._offline:
                self._tell(f"installing {wanted}")
            work = self._root / ".work"
            await asyncio.to_thread(work.mkdir, exist_ok=True)
            made = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=work))
            try:
                await self._install(wanted, project, made)
                await asyncio.to_thread(made.rename, folder)
            finally:
                await asyncio.to_thread(shutil.rmtree, made, True)

    async def _install(self, wanted: Requirements, project: Path, made: Path) -> None:
        command = [*installer(), "--quiet", "--target", str(made)]
        if self._offline:
            command.append("--offline" if command[1] == "pip" else "--no-index")
        for path in wanted.files:
            command += ["-r", str(path)]
        if wanted.lines:
            listed = made / ".requirements.txt"
            listed.write_text("\n".join(wanted.lines) + "\n", encoding="utf-8")
            command += ["-r", str(listed)]
        status, words = await run_installer(command, project)
        if status:
            shown = "\n".join(words.strip().splitlines()[-WORDS:])
            if self._offline:
                raise ProjectError(
                    f"{project}: its requirements ({wanted}) are not installed and the network is"
                    f" closed (offline). Start it once without --offline.\n{shown}"
                )
            raise ProjectError(f"{project}: its requirements cannot be installed.\n{shown}")


def installer() -> list[str]:
    """uv where it is found, else this interpreter's pip. Raises ProjectError."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is not None:
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        return [uv, "pip", "install", "--python", python, "--compile-bytecode"]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    raise ProjectError("installing a project's requirements needs uv or pip: pip install uv")


async def run_installer(command: Sequence[str], project: Path) -> tuple[int, str]:
    """Exit status and words; the whole process group ends with this task."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=project,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(INSTALL):
            words, _ = await process.communicate()
    except TimeoutError:
        return 1, f"the installer did not end within {INSTALL:.0f} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode or 0, words.decode(errors="replace")
