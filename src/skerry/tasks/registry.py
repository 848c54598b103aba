"""The tasks by name, found by entry point, so that another package can add one."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from skerry.errors import SkerryError
from skerry.tasks.base import Task

GROUP = "skerry.tasks"


def load_tasks() -> dict[str, Task]:
    """One instance of every task, by name, in order of name.

    Each entry point of the group `skerry.tasks` names a subclass of Task without required
    arguments; its own name is the task's. Raises SkerryError naming the distribution where one
    cannot be loaded, is no task, or gives a name that is already taken.
    """
    tasks: dict[str, Task] = {}
    giver: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _origin(point))):
        task = _load(point)
        if point.name in tasks:
            raise SkerryError(
                f"task {point.name}: both {giver[point.name]} and {_origin(point)} give it;"
                " uninstall one of them"
            )
        tasks[point.name] = task
        giver[point.name] = _origin(point)
    if not tasks:
        raise SkerryError(
            f"no entry points {GROUP}: Skerry itself is not installed; pip install it"
            " (from a checkout: pip install -e .)"
        )
    return tasks


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed distribution"


def _load(point: EntryPoint) -> Task:
    where = f"task {point.name} of {_origin(point)} ({point.value})"
    try:
        found = point.load()
    except Exception as error:  # a stranger's module may raise anything at import
        raise SkerryError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}."
            " Mend or uninstall that distribution"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise SkerryError(f"{where} is not a subclass of skerry.tasks.base.Task")
    try:
        task = found()
    except Exception as error:  # the same
        raise SkerryError(f"{where} cannot be made: {type(error).__name__}: {error}") from error
    if getattr(task, "name", None) != point.name:
        raise SkerryError(f"{where} calls itself {getattr(task, 'name', None)!r}")
    return task
