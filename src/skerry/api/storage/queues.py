"""Queues over REST: the queues themselves and their consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from skerry.api.storage.queue_messages import QueueMessagesRest, iso, metrics_of
from skerry.api.storage.rest import ACCOUNT, json_body, ok, page_of, stored
from skerry.storage.queues.base import ConsumerSettings, InvalidSetting
from skerry.storage.queues.registry import (
    ConsumerInfo,
    ConsumerNotFound,
    QueueInfo,
    QueueSettings,
)

if TYPE_CHECKING:
    from skerry.storage.open import Stores

BASE = f"{ACCOUNT}/queues"


class Settings(msgspec.Struct):
    """The settings of a queue; what is left out stays as it is."""

    delivery_delay: int | None = None
    delivery_paused: bool | None = None
    message_retention_period: int | None = None


class QueueBody(msgspec.Struct):
    """The body that creates or changes a queue."""

    queue_name: str | None = None
    settings: Settings | None = None


class ConsumerBodySettings(msgspec.Struct):
    """The settings of a consumer, as Cloudflare names them."""

    batch_size: int = 10
    max_concurrency: int | None = None
    max_retries: int = 3
    max_wait_time_ms: int = 5000
    retry_delay: int = 0
    visibility_timeout_ms: int = 30_000


class ConsumerBody(msgspec.Struct):
    """The body that creates or replaces a consumer."""

    type: str = "worker"
    script_name: str = ""
    script: str = ""
    dead_letter_queue: str | None = None
    settings: ConsumerBodySettings | None = None


class Purge(msgspec.Struct):
    """The body of a purge."""

    delete_messages_permanently: bool = False


class QueuesRest:
    """/accounts/{account}/queues…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._messages = QueueMessagesRest(stores)

    def routes(self) -> list[web.RouteDef]:
        one, consumers = f"{BASE}/{{queue}}", f"{BASE}/{{queue}}/consumers"
        return [
            web.get(BASE, stored(self.list)),
            web.post(BASE, stored(self.create, QueueBody)),
            web.get(one, stored(self.get)),
            web.put(one, stored(self.update, QueueBody)),
            web.patch(one, stored(self.update, QueueBody)),
            web.delete(one, stored(self.delete)),
            web.get(f"{one}/metrics", stored(self.metrics)),
            web.post(f"{one}/purge", stored(self.purge, Purge)),
            web.get(f"{one}/purge", stored(self.purged)),
            web.get(consumers, stored(self.consumers)),
            web.post(consumers, stored(self.add_consumer, ConsumerBody)),
            web.get(f"{consumers}/{{consumer}}", stored(self.consumer)),
            web.put(f"{consumers}/{{consumer}}", stored(self.update_consumer, ConsumerBody)),
            web.delete(f"{consumers}/{{consumer}}", stored(self.remove_consumer)),
            *self._messages.routes(one),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List the queues, by page; `name` keeps the one of that name."""
        name = request.query.get("name")
        items = await self._stores.queues(request.match_info["account"]).list()
        found, info = page_of(request, [each for each in items if name in (None, each.name)])
        return ok([queue_object(each) for each in found], info)

    async def create(self, request: web.Request) -> web.Response:
        """Create a queue: {queue_name, settings?}."""
        body = await json_body(request, QueueBody)
        if body.queue_name is None:
            raise InvalidSetting("queue_name: give the queue a name")
        settings = _changed(QueueSettings(), body.settings)
        queues = self._stores.queues(request.match_info["account"])
        return ok(queue_object(await queues.create(body.queue_name, settings)))

    async def get(self, request: web.Request) -> web.Response:
        """Show a queue with its consumers."""
        return ok(queue_object(await self._found(request)))

    async def update(self, request: web.Request) -> web.Response:
        """Rename, delay or pause a queue: {queue_name?, settings?}."""
        body = await json_body(request, QueueBody)
        info = await self._found(request)
        made = await self._stores.queues(request.match_info["account"]).update(
            info.id, name=body.queue_name, settings=_changed(info.settings, body.settings)
        )
        return ok(queue_object(made))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a queue with its messages and consumers."""
        where = request.match_info
        await self._stores.queues(where["account"]).delete(where["queue"])
        return ok(None)

    async def metrics(self, request: web.Request) -> web.Response:
        """Tell what waits in a queue."""
        info = await self._found(request)
        queue = self._stores.queue(request.match_info["account"], info.name)
        return ok(metrics_of(await queue.metrics()))

    async def purge(self, request: web.Request) -> web.Response:
        """Delete all messages of a queue: {delete_messages_permanently: true}."""
        body = await json_body(request, Purge)
        if not body.delete_messages_permanently:
            raise InvalidSetting("delete_messages_permanently: say true to delete all messages")
        info = await self._found(request)
        await self._stores.queue(request.match_info["account"], info.name).purge()
        return ok(queue_object(await self._found(request)))

    async def purged(self, request: web.Request) -> web.Response:
        """Tell when a queue was purged last; a purge is complete when it is answered."""
        at = (await self._found(request)).purged_ms
        return ok({"started_at": iso(at) if at else None, "completed": iso(at) if at else None})

    async def consumers(self, request: web.Request) -> web.Response:
        """List the consumers of a queue."""
        info = await self._found(request)
        return ok([consumer_object(each, info) for each in info.consumers])

    async def add_consumer(self, request: web.Request) -> web.Response:
        """Add a consumer: {type, script_name?, dead_letter_queue?, settings?}."""
        info = await self._found(request)
        consumer = _consumer(await json_body(request, ConsumerBody), "")
        queues = self._stores.queues(request.match_info["account"])
        return ok(consumer_object(await queues.add_consumer(info.id, consumer), info))

    async def consumer(self, request: web.Request) -> web.Response:
        """Show a consumer."""
        info = await self._found(request)
        for each in info.consumers:
            if each.id == request.match_info["consumer"]:
                return ok(consumer_object(each, info))
        raise ConsumerNotFound(request.match_info["consumer"])

    async def update_consumer(self, request: web.Request) -> web.Response:
        """Replace a consumer; what is left out has its default."""
        info = await self._found(request)
        body = await json_body(request, ConsumerBody)
        consumer = _consumer(body, request.match_info["consumer"])
        queues = self._stores.queues(request.match_info["account"])
        return ok(consumer_object(await queues.update_consumer(info.id, consumer), info))

    async def remove_consumer(self, request: web.Request) -> web.Response:
        """Remove a consumer; messages stay."""
        where = request.match_info
        queues = self._stores.queues(where["account"])
        await queues.remove_consumer(where["queue"], where["consumer"])
        return ok(None)

    async def _found(self, request: web.Request) -> QueueInfo:
        where = request.match_info
        return await self._stores.queues(where["account"]).get(where["queue"])


def _changed(settings: QueueSettings, wanted: Settings | None) -> QueueSettings:
    if wanted is None:
        return settings
    given = {
        name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None
    }
    return msgspec.structs.replace(settings, **given)


def _consumer(body: ConsumerBody, ident: str) -> ConsumerInfo:
    if body.type not in ("worker", "http_pull"):
        raise InvalidSetting(f"type: {body.type[:40]!r} is not worker or http_pull")
    script = body.script_name or body.script
    if body.type == "worker" and not script:
        raise InvalidSetting("script_name: name the worker that consumes")
    given = body.settings or ConsumerBodySettings()
    return ConsumerInfo(
        id=ident,
        type=body.type,
        script_name=script if body.type == "worker" else "",
        settings=ConsumerSettings(
            max_batch_size=given.batch_size,
            max_wait_ms=given.max_wait_time_ms,
            max_retries=given.max_retries,
            retry_delay=given.retry_delay,
            dead_letter_queue=body.dead_letter_queue or "",
            max_concurrency=given.max_concurrency,
            visibility_timeout_ms=given.visibility_timeout_ms,
        ),
    )


def queue_object(info: QueueInfo) -> dict[str, Any]:
    """A queue as Cloudflare lists it."""
    return {
        "queue_id": info.id,
        "queue_name": info.name,
        "created_on": iso(info.created_ms),
        "modified_on": iso(info.modified_ms),
        "producers": [],
        "producers_total_count": 0,
        "consumers": [consumer_object(each, info) for each in info.consumers],
        "consumers_total_count": len(info.consumers),
        "settings": msgspec.structs.asdict(info.settings),
    }


def consumer_object(consumer: ConsumerInfo, queue: QueueInfo) -> dict[str, Any]:
    """A consumer as Cloudflare lists it."""
    settings = consumer.settings
    shown: dict[str, Any] = {
        "batch_size": settings.max_batch_size,
        "max_retries": settings.max_retries,
        "retry_delay": settings.retry_delay,
    }
    out: dict[str, Any] = {
        "consumer_id": consumer.id,
        "type": consumer.type,
        "queue_id": queue.id,
        "queue_name": queue.name,
        "created_on": iso(consumer.created_ms),
        "dead_letter_queue": settings.dead_letter_queue,
        "settings": shown,
    }
    if consumer.type == "http_pull":
        shown["visibility_timeout_ms"] = settings.visibility_timeout_ms
    else:
        out["script_name"] = out["script"] = consumer.script_name
        shown["max_wait_time_ms"] = settings.max_wait_ms
        shown["max_concurrency"] = settings.max_concurrency
    return out
