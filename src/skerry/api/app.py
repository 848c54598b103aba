"""The HTTP application of a node: every face, on one port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from skerry.api.anthropic.messages import Messages
from skerry.api.cloudflare import RunFace
from skerry.api.face import Face, Models, Runs
from skerry.api.health import Health
from skerry.api.logs import LogsFace
from skerry.api.models import ModelsFace
from skerry.api.openai.routes import openai_routes
from skerry.api.origins import OriginGuard
from skerry.api.pages import Pages
from skerry.api.routing import fallbacks
from skerry.api.storage.routes import storage_routes
from skerry.inference.status import ModelStatus
from skerry.settings import Settings
from skerry.storage.open import Stores
from skerry.tasks.base import Task
from skerry.workers.logs import LogHub


class ModelStates(Protocol):
    """Whatever knows which models are resident: inference.Inference."""

    def status(self) -> list[ModelStatus]:
        """Every model that is resident, on its way, or failed."""


def build_app(
    *,
    ai: Runs,
    catalog: Models,
    tasks: Mapping[str, Task],
    inference: ModelStates,
    settings: Settings,
    version: str,
    stores: Stores | None = None,
    logs: LogHub | None = None,
) -> web.Application:
    """Build the application. Run it with `handler_cancellation=True`: a client that goes away
    then cancels its run."""
    app = web.Application(client_max_size=settings.max_body)
    face = Face(ai, catalog, tasks, settings)
    app.add_routes(RunFace(face).routes())
    app.add_routes(ModelsFace(face).routes())
    app.add_routes(openai_routes(face))
    app.add_routes(Messages(face).routes())
    if stores is not None:
        app.add_routes(storage_routes(stores))
    if logs is not None:
        app.add_routes(LogsFace(logs).routes())
    app.add_routes(Health(inference, settings, version).routes())
    app.add_routes(Pages(tasks, version).routes())
    OriginGuard(settings.origins).install(app)
    app.add_routes(fallbacks())
    return app
