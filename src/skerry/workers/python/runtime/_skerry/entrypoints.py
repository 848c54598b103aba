"""The classes that a project derives its own from, and what stands around handlers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar

from _skerry.context import Context, wait_until
from _skerry.state import RUNTIME
from _skerry.values import plain, result

F = TypeVar("F", bound=Callable[..., Any])


class WorkerEntrypoint:
    """`class Default(WorkerEntrypoint)`: made for each event, with its context and `env`."""

    def __init__(self, ctx: Context, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class _Absent:
    kind = "This class"

    def __init__(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(
            f"{self.kind} are not part of this node: {type(self).__name__} can be imported and"
            " derived from, but not run. Workers, queues, cron, D1, KV and R2 are there."
        )


class DurableObject(_Absent):
    """Can be imported, so that a module that has one loads; making one says that there are none."""

    kind = "Durable Objects"


class WorkflowEntrypoint(_Absent):
    """As DurableObject."""

    kind = "Workflows"


def handler(function: F) -> F:
    """Marks a handler; requests are Python objects in any case."""
    return function


@contextlib.contextmanager
def patch_env(values: Any = None, **kwargs: Any) -> Iterator[None]:
    """With these values in `env`, for tests."""
    with RUNTIME.get().env.patched({**dict(values or {}), **kwargs}):
        yield


def import_from_javascript(name: str) -> Any:
    """The parts of `cloudflare:workers` that there are. Raises ImportError for any other name."""
    if name == "cloudflare:workers":
        return SimpleNamespace(
            env=RUNTIME.get().env, waitUntil=wait_until, WorkerEntrypoint=WorkerEntrypoint,
            DurableObject=DurableObject, WorkflowEntrypoint=WorkflowEntrypoint,
        )  # fmt: skip
    raise ImportError(
        f"{name!r} is a JavaScript module, and a Python worker runs in CPython here:"
        " only 'cloudflare:workers' can be imported this way"
    )


def python_from_rpc(value: Any) -> Any:
    """The value: nothing needs to be converted here."""
    return result(value)


def python_to_rpc(value: Any) -> Any:
    """The value: nothing needs to be converted here."""
    return plain(value) if isinstance(value, dict | list) else value
