"""What the modules `workers` and `js` reach without being handed it: env, the node, the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _skerry.bindings.fetchers import Caches
    from _skerry.bindings.plan import Env
    from _skerry.client import Client
    from _skerry.logs import Console, Log


class Runtime:
    """One worker process's own."""

    def __init__(
        self,
        *,
        env: Env,
        client: Client,
        log: Log,
        loop: asyncio.AbstractEventLoop,
        console: Console,
        caches: Caches,
    ) -> None:
        self.env = env
        self.client = client
        self.log = log
        self.loop = loop
        self.console = console
        self.caches = caches


class _Slot:
    """Filled once, before the project is loaded; seen from every thread of the process."""

    def __init__(self) -> None:
        self._runtime: Runtime | None = None

    def set(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def get(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("this module works inside a worker that Skerry runs")
        return self._runtime


RUNTIME = _Slot()
