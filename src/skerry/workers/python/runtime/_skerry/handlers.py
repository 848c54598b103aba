"""The user's module: found, loaded, and its handlers called with the arguments they declare."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from _skerry.context import Context


def load(main: Path) -> ModuleType:
    """Run the project's main module. Raises whatever it raises."""
    spec = importlib.util.spec_from_file_location(main.stem, main)
    if spec is None or spec.loader is None:
        raise ImportError(f"{main} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[main.stem] = module
    spec.loader.exec_module(module)
    return module


def fitting(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """As many of the arguments as the function declares places for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return arguments
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return arguments
    places = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return arguments[: len(places)]


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a plain or async function."""
    made = function(*fitting(function, arguments))
    return await made if inspect.isawaitable(made) else made


class Handlers:
    """What the module offers: a class `Default`, or functions on_fetch, on_scheduled, on_queue."""

    def __init__(self, module: ModuleType, entrypoint: str = "Default") -> None:
        self._module = module
        self._class = getattr(module, entrypoint, None)
        if not inspect.isclass(self._class):
            self._class = None
        self.names = [name for name in ("fetch", "scheduled", "queue") if self._has(name)]
        if not self.names and self._class is None:
            raise ImportError(
                f"{getattr(module, '__file__', module.__name__)} has no handler: define"
                " `class Default(WorkerEntrypoint)` with `async def fetch(self, request)`,"
                " or `async def on_fetch(request, env, ctx)`"
            )

    def _has(self, name: str) -> bool:
        return hasattr(self._class, name) or callable(getattr(self._module, f"on_{name}", None))

    def bound(self, name: str, env: Any, context: Context) -> Callable[..., Any] | None:
        """The handler of this name, on a fresh instance; None where there is none."""
        if self._class is not None and hasattr(self._class, name):
            made: Callable[..., Any] = getattr(self._class(context, env), name)
            return made
        function: Callable[..., Any] | None = getattr(self._module, f"on_{name}", None)
        return function

    async def run(self, name: str, event: Any, env: Any, context: Context) -> Any:
        """Call the handler. Raises LookupError where there is none, and whatever it raises."""
        function = self.bound(name, env, context)
        if function is None:
            raise LookupError(f"Handler does not export a {name}() function.")
        return await call(function, event, env, context)
