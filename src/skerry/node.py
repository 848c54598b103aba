"""The composition root: builds a node from Settings, starts it, stops it. Only this file wires."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import skerry
from skerry.ai import AI
from skerry.ai.allow import Allow
from skerry.ai.execute import Execute
from skerry.ai.json_mode import JsonMode
from skerry.ai.record import Record
from skerry.ai.resolve import Resolve
from skerry.ai.spend import Spend
from skerry.ai.validate import Validate
from skerry.catalog.open import open_catalog, open_store
from skerry.catalog.progress import Progress
from skerry.inference.core import GRACE, Inference
from skerry.inference.kept import with_kept
from skerry.inference.tune import Tuner
from skerry.settings import Settings
from skerry.storage.open import Stores
from skerry.tasks.registry import load_tasks
from skerry.telemetry.events import RecentEvents

if TYPE_CHECKING:
    from aiohttp import web


class Node:
    """One Skerry process: catalog, store, inference core, AI and, once `serve` is called, HTTP.

    Use as an async context manager; leaving it stops everything that it started.
    """

    def __init__(
        self, settings: Settings, on_pull: Callable[[Progress], None] | None = None
    ) -> None:
        settings = with_kept(settings)
        self.settings = settings
        self.tasks = load_tasks()
        self.catalog = open_catalog(settings)
        self.store = open_store(settings)
        self.tuner = Tuner(
            settings.models.expanduser(), threads=settings.threads, enabled=settings.tune
        )
        self.events = RecentEvents()
        self.inference = Inference(settings, self.store, self.tuner, on_pull=on_pull)
        self.ai = AI(
            [
                Record(self.events),
                Allow(settings),
                Resolve(
                    settings,
                    self.catalog,
                    self.tasks,
                    lambda entry: self.store.ready(entry) is not None,
                ),
                Validate(self.tasks),
                JsonMode(),
                Spend(settings.daily_neurons),
                Execute(self.inference),
            ]
        )
        self.stores = Stores(settings.data_dir)
        self._runner: web.AppRunner | None = None
        self.port = settings.port

    async def start(self) -> None:
        """Start the inference core; load the models of `preload` and `pin`."""
        await self.inference.start()
        self.stores.start()
        for name in self.settings.preload:
            await self.inference.load(self.catalog.get(name))

    async def serve(self) -> str:
        """Listen; answers the base URL. Raises OSError where the port is taken."""
        from aiohttp import web

        from skerry.api.app import build_app

        app = build_app(
            ai=self.ai,
            catalog=self.catalog,
            tasks=self.tasks,
            inference=self.inference,
            settings=self.settings,
            version=skerry.__version__,
            stores=self.stores,
        )
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=95.0,
            shutdown_timeout=GRACE,
        )
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(
            runner, self.settings.host, self.settings.port, backlog=1024, reuse_address=True
        )
        await site.start()
        host, self.port = runner.addresses[0][:2]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    async def stop(self) -> None:
        """Stop listening, let what runs end within its grace, stop every runner."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.inference.close()
        await self.stores.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
