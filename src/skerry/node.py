"""The composition root: builds a node from Settings, starts it, stops it. Only this file wires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import skerry
from skerry.ai import AI, Step
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
from skerry.workers.logs import LogHub

if TYPE_CHECKING:
    from aiohttp import web

    from skerry.api.bindings.open import WorkerFaces
    from skerry.workers.toolchain import Toolchain
    from skerry.workers.workers import Workers


class Node:
    """One Skerry process: catalog, store, inference core, AI and, once `serve` is called, HTTP.

    Use as an async context manager; leaving it stops everything that it started.
    """

    def __init__(
        self,
        settings: Settings,
        on_pull: Callable[[Progress], None] | None = None,
        *,
        before: Sequence[Step] = (),
    ) -> None:
        """before: more steps of AI.run, which come before a model is looked for."""
        settings = with_kept(settings)
        self.settings = settings
        self._on_pull = on_pull
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
                *before,
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
        self.stores = Stores(settings.data_dir, cache_bytes=settings.cache_size)
        self.logs = LogHub()
        self._runner: web.AppRunner | None = None
        self._workers: Workers | None = None
        self._faces: WorkerFaces | None = None
        self.port = settings.port

    async def start(self) -> None:
        """Start the inference core; load the models of `preload` and `pin`."""
        await self.inference.start()
        self.stores.start()
        for name in self.settings.preload:
            await self.inference.load(self.catalog.get(name))

    def _api(self) -> web.Application:
        from skerry.api.app import build_app

        return build_app(
            ai=self.ai,
            catalog=self.catalog,
            tasks=self.tasks,
            inference=self.inference,
            settings=self.settings,
            version=skerry.__version__,
            stores=self.stores,
            logs=self.logs,
        )

    async def serve(self, host: str | None = None, port: int | None = None) -> str:
        """Listen, as the settings say or here; answers the base URL. Raises OSError where the
        port is taken."""
        from aiohttp import web

        app = self._api()
        app.on_shutdown.append(self._drain)
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=95.0,
            shutdown_timeout=GRACE,
        )
        await runner.setup()
        self._runner = runner
        settings = self.settings
        site = web.TCPSite(
            runner,
            host or settings.host,
            settings.port if port is None else port,
            backlog=1024,
            reuse_address=True,
        )
        await site.start()
        name, self.port = runner.addresses[0][:2]
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"

    async def workers(self, toolchain: Toolchain | None = None) -> Workers:
        """What runs workers on this node; made when it is first asked for. Raises SettingsError.

        toolchain: where workerd and esbuild come from; None: as the settings say.
        """
        from skerry.api.bindings.doors import BindingDoors, serve_unix
        from skerry.api.bindings.open import WorkerFaces
        from skerry.api.face import Face
        from skerry.workers.cf import check_place
        from skerry.workers.sandbox import find_sandbox
        from skerry.workers.toolchain import Toolchain
        from skerry.workers.workers import Workers

        if self._workers is None:
            settings = self.settings
            check_place(settings.place)
            self._faces = faces = WorkerFaces(
                "local",
                self.stores,
                Face(self.ai, self.catalog, self.tasks, settings),
                lambda name: None if self._workers is None else self._workers.find(name),
            )
            self._workers = Workers(
                settings,
                toolchain=toolchain
                or Toolchain(
                    settings.tools or settings.data_dir / "tools",
                    offline=settings.offline,
                    report=self._on_pull,
                ),
                sandbox=await find_sandbox(wanted=settings.sandbox),
                doors=BindingDoors(faces, settings.max_body),
                api=lambda path: serve_unix(self._api(), path),
                stores=self.stores,
                account="local",
                logs=self.logs,
            )
        return self._workers

    async def stop(self) -> None:
        """Stop listening, let what runs end within its grace, stop every runner."""
        self.logs.close()
        if self._workers is not None:
            await self._workers.close()
            self._workers = None
        if self._faces is not None:
            await self._faces.close()
            self._faces = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.inference.close()
        await self.stores.close()

    async def _drain(self, app: web.Application) -> None:
        """Once nothing new is taken, while connections are still open: streams that outlast the
        grace end with an error event, where closing their connections would cut them off."""
        await self.inference.close()

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
