"""Reloads a worker when something that it is made of is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from skerry.workers.logs import LogEvent
from skerry.workers.project import Project
from skerry.workers.supervisor import Supervisor
from skerry.workers.versions import Version
from skerry.workers.watch import Changes, Watcher

PYTHON = frozenset(
    {".py", ".toml", ".json", ".jsonc", ".txt", ".html", ".j2", ".jinja", ".sql", ".yaml", ".yml"}
)
"""Endings of the files that a Python worker may be made of."""
CONFIGURATION = ("wrangler.", ".dev.vars", ".env", "tsconfig", "package.json", "requirements.txt")
"""How the names of files begin that say how a worker is made, also of those that are new."""
ASSET_RULES = frozenset({"_headers", "_redirects", ".assetsignore"})


def concerns(version: Version | None, changes: Changes) -> bool:
    """Is the worker made of one of these files?

    What the worker itself or anybody else writes into its folder is no reason to start anew.
    Where there is no version that runs, any change may be the one that mends it.
    """
    if version is None:
        return True
    project = version.project
    inputs = frozenset(path.resolve() for path in (*version.inputs, *project.files))
    return any(_concerns(project, inputs, path) for path in changes)


def _concerns(project: Project, inputs: frozenset[Path], path: Path) -> bool:
    if path in inputs or path.name.startswith(CONFIGURATION):
        return True
    if project.language == "python":
        return path.suffix in PYTHON
    if project.assets is None or path.name not in ASSET_RULES:
        return False
    return path.is_relative_to(project.assets.directory)


class Follower:
    """Watches what one worker is made of."""

    def __init__(
        self, supervisor: Supervisor, start: Path, sink: Callable[[LogEvent], None]
    ) -> None:
        """start: the folder or file of the project, to look at while it cannot be read."""
        self._supervisor = supervisor
        self._start = start
        self._sink = sink

    async def run(self) -> None:
        """Reload with every change, until it is cancelled."""
        while True:
            project = self._supervisor.project
            watcher = self._watcher(project)
            try:
                async with aclosing(watcher.changes()) as sets:
                    async for changes in sets:
                        if not concerns(self._supervisor.version, changes):
                            continue
                        await self._supervisor.reload()
                        if _places(self._supervisor.project) != _places(project):
                            break  # it has other folders to look at now
            except OSError as error:
                self._sink(
                    LogEvent(
                        timestamp=time.time(),
                        worker=self._supervisor.name,
                        level="error",
                        message=[f"changes are not seen any more: {error}"],
                        kind="host",
                    )
                )
                return

    def _watcher(self, project: Project | None) -> Watcher:
        if project is not None:
            return Watcher.of(project)
        if self._start.is_dir():
            return Watcher(self._start)
        return Watcher(self._start.parent, [self._start])


def _places(project: Project | None) -> tuple[object, ...]:
    if project is None:
        return ()
    return (project.root, project.main, project.tsconfig, project.files)
