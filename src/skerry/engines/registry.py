"""Engines by name, from the entry point group `skerry.engines` of every installed package."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from skerry.engines.base import Engine
from skerry.errors import EngineError, EngineMissing

GROUP = "skerry.engines"


def engine_names() -> list[str]:
    """Every engine that an installed package registers, in order of name.

    Being registered does not mean that its library is there: see `load_engine(name).missing()`.
    """
    return sorted({point.name for point in entry_points(group=GROUP)})


def load_engine(name: str) -> type[Engine]:
    """The class of the engine `name`, whether or not its library is installed.

    Raises EngineMissing for an unknown name; EngineError, naming the distribution, where the entry
    point cannot be loaded or is no engine.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        raise EngineMissing(
            f"No engine is called {name!r}. There are: {', '.join(engine_names()) or 'none'}."
            f" Another package adds one by an entry point in the group {GROUP}."
        )
    point = found[0]
    if len(found) > 1:
        owners = ", ".join(sorted(_distribution(each) for each in found))
        raise EngineError(
            f"The engine {name!r} is registered more than once: by {owners}. Uninstall all but one."
        )
    try:
        cls = point.load()
    except Exception as error:  # foreign code: whatever it raises is that package's fault
        raise EngineError(
            f"The engine {name!r} of {_distribution(point)} cannot be loaded from {point.value}:"
            f" {type(error).__name__}: {error}. Update or uninstall that package."
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Engine)):
        raise EngineError(
            f"The engine {name!r} of {_distribution(point)} is {point.value}, which is not a"
            " subclass of skerry.engines.base.Engine. Update or uninstall that package."
        )
    return cls


def _distribution(point: EntryPoint) -> str:
    if point.dist is None:
        return "an unknown package"
    return f"the package {point.dist.name} {point.dist.version}"
