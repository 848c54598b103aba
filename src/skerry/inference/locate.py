"""Where the classes of tasks and engines are, so that a runner imports only those it needs."""

from __future__ import annotations

from importlib.metadata import entry_points

TASKS = "skerry.tasks"
ENGINES = "skerry.engines"


class Locations:
    """The entry points of tasks and engines, read once: a scan of all packages takes 75 ms."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] | None = None

    def task(self, name: str) -> str:
        """ "module:attribute", or "" where none or several packages give it."""
        return self._find(TASKS, name)

    def engine(self, name: str) -> str:
        """The same for an engine."""
        return self._find(ENGINES, name)

    def _find(self, group: str, name: str) -> str:
        if self._found is None:
            found: dict[tuple[str, str], str] = {}
            for each in (TASKS, ENGINES):
                for point in entry_points(group=each):
                    key = (each, point.name)
                    # Named twice: the registry has the words for it.
                    found[key] = "" if found.get(key, point.value) != point.value else point.value
            self._found = found
        return self._found.get((group, name), "")
