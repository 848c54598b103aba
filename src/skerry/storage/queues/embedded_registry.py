"""The queues of an account in SQLite."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

import apsw
import msgspec

from skerry.storage.queues import rows
from skerry.storage.queues.base import (
    MAX_DELAY,
    MAX_RETENTION,
    MIN_RETENTION,
    ConsumerSettings,
    InvalidSetting,
    Queue,
    QueueExists,
    QueueNotFound,
)
from skerry.storage.queues.bell import Bells
from skerry.storage.queues.check import check_consumer, check_name
from skerry.storage.queues.embedded import EmbeddedQueue, tell_expired
from skerry.storage.queues.registry import (
    ConsumerExists,
    ConsumerInfo,
    ConsumerNotFound,
    QueueInfo,
    QueueRegistry,
    QueueSettings,
)
from skerry.storage.sqlite import Database

T = TypeVar("T")

_ALL = (
    "SELECT key, id, name, created_ms, modified_ms, delay, paused, retention, purged_ms"
    " FROM queues ORDER BY name"
)
_ONE = (
    "SELECT key, id, name, created_ms, modified_ms, delay, paused, retention, purged_ms"
    " FROM queues WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC"
)


class EmbeddedQueues(QueueRegistry):
    """All queues of one account, in one file."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """clock: Unix seconds."""
        self._database = database
        self._clock = clock
        self._bells = Bells()

    def queue(self, name: str) -> Queue:
        return EmbeddedQueue(name, self._database, self._bells, self._clock)

    async def sweep(self) -> int:
        """Delete messages that were kept for their queue's retention, also where nobody consumes;
        answers how many, at most some at a time."""
        now = self._now()

        def work(connection: apsw.Connection) -> dict[str, int]:
            names: Any = connection.execute("SELECT name FROM queues").fetchall()
            return {
                name: rows.expire(connection, found, now)
                for (name,) in names
                if (found := rows.find(connection, name)) is not None
            }

        counts = await self._database.write(work)
        for name, count in counts.items():
            tell_expired(name, count)
        return sum(counts.values())

    def _now(self) -> int:
        return int(self._clock() * 1000)

    async def create(self, name: str, settings: QueueSettings | None = None) -> QueueInfo:
        check_name(name)
        chosen = _checked(settings or QueueSettings())
        now = self._now()

        def work(connection: apsw.Connection) -> QueueInfo:
            if rows.find(connection, name) is not None:
                raise QueueExists(name)
            connection.execute(
                "INSERT INTO queues (id, name, created_ms, modified_ms, delay, paused, retention)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    rows.new_id(),
                    name,
                    now,
                    now,
                    chosen.delivery_delay,
                    int(chosen.delivery_paused),
                    chosen.message_retention_period,
                ),
            )
            return _info(connection, name)[1]

        return await self._database.write(work)

    async def list(self) -> list[QueueInfo]:
        def work(connection: apsw.Connection) -> builtins.list[QueueInfo]:
            found = connection.execute(_ALL).fetchall()
            return [_made(connection, row)[1] for row in found]

        return await self._database.read(work)

    async def get(self, queue_id: str) -> QueueInfo:
        return await self._database.read(lambda connection: _info(connection, queue_id)[1])

    async def update(
        self, queue_id: str, *, name: str | None = None, settings: QueueSettings | None = None
    ) -> QueueInfo:
        if name is not None:
            check_name(name)
        if settings is not None:
            _checked(settings)
        now = self._now()

        def work(connection: apsw.Connection) -> QueueInfo:
            key, known = _info(connection, queue_id)
            if name not in (None, known.name) and rows.find(connection, str(name)) is not None:
                raise QueueExists(str(name))
            chosen = settings or known.settings
            connection.execute(
                "UPDATE queues SET name = ?, modified_ms = ?, delay = ?, paused = ?,"
                " retention = ? WHERE key = ?",
                (
                    name or known.name,
                    now,
                    chosen.delivery_delay,
                    int(chosen.delivery_paused),
                    chosen.message_retention_period,
                    key,
                ),
            )
            return _info(connection, known.id)[1]

        info = await self._database.write(work)
        self._bells.ring(info.name)
        return info

    async def delete(self, queue_id: str) -> None:
        def work(connection: apsw.Connection) -> None:
            key, _ = _info(connection, queue_id)
            for statement in (
                "DELETE FROM messages WHERE queue = ?",
                "DELETE FROM consumers WHERE queue = ?",
                "DELETE FROM queues WHERE key = ?",
            ):
                connection.execute(statement, (key,))

        await self._database.write(work)

    async def add_consumer(self, queue_id: str, consumer: ConsumerInfo) -> ConsumerInfo:
        check_consumer(consumer.settings)
        made = msgspec.structs.replace(consumer, id=rows.new_id(), created_ms=self._now())

        def work(connection: apsw.Connection) -> None:
            key, queue = _info(connection, queue_id)
            _not_itself(queue, consumer)
            if queue.consumers:
                raise ConsumerExists(queue.name)
            connection.execute(
                "INSERT INTO consumers (id, queue, type, script, settings, created_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (made.id, key, made.type, made.script_name, _json(made), made.created_ms),
            )

        await self._database.write(work)
        return made

    async def update_consumer(self, queue_id: str, consumer: ConsumerInfo) -> ConsumerInfo:
        check_consumer(consumer.settings)

        def work(connection: apsw.Connection) -> ConsumerInfo:
            key, queue = _info(connection, queue_id)
            _not_itself(queue, consumer)
            connection.execute(
                "UPDATE consumers SET type = ?, script = ?, settings = ?"
                " WHERE queue = ? AND id = ?",
                (consumer.type, consumer.script_name, _json(consumer), key, consumer.id),
            )
            if not connection.changes():
                raise ConsumerNotFound(consumer.id)
            return _info(connection, queue_id)[1].consumers[0]

        return await self._database.write(work)

    async def remove_consumer(self, queue_id: str, consumer_id: str) -> None:
        def work(connection: apsw.Connection) -> None:
            key, _ = _info(connection, queue_id)
            connection.execute(
                "DELETE FROM consumers WHERE queue = ? AND id = ?", (key, consumer_id)
            )
            if not connection.changes():
                raise ConsumerNotFound(consumer_id)

        await self._database.write(work)


def _json(consumer: ConsumerInfo) -> str:
    return msgspec.json.encode(consumer.settings).decode()


def _not_itself(queue: QueueInfo, consumer: ConsumerInfo) -> None:
    if consumer.settings.dead_letter_queue == queue.name:
        raise InvalidSetting(f"dead_letter_queue: {queue.name} cannot be its own")


def _checked(settings: QueueSettings) -> QueueSettings:
    if not 0 <= settings.delivery_delay <= MAX_DELAY:
        raise InvalidSetting(
            f"delivery_delay: {settings.delivery_delay} is not from 0 to {MAX_DELAY} seconds"
        )
    kept = settings.message_retention_period
    if not MIN_RETENTION <= kept <= MAX_RETENTION:
        raise InvalidSetting(
            f"message_retention_period: {kept} is not from {MIN_RETENTION} to {MAX_RETENTION}"
            " seconds"
        )
    return settings


def _info(connection: apsw.Connection, ident: str) -> tuple[int, QueueInfo]:
    """Key and description of a queue, by id or name. Raises QueueNotFound."""
    row = connection.execute(_ONE, (ident,)).fetchone()
    if row is None:
        raise QueueNotFound(ident)
    return _made(connection, row)


def _made(connection: apsw.Connection, row: tuple[apsw.SQLiteValue, ...]) -> tuple[int, QueueInfo]:
    key, ident, name, created, modified, delay, paused, retention, purged = row
    consumers = [
        ConsumerInfo(
            id=str(consumer),
            type=str(kind),
            script_name=str(script),
            settings=msgspec.json.decode(str(settings), type=ConsumerSettings),
            created_ms=int(made or 0),
        )
        for consumer, kind, script, settings, made in connection.execute(
            "SELECT id, type, script, settings, created_ms FROM consumers WHERE queue = ?", (key,)
        )
    ]
    info = msgspec.convert(
        {
            "id": ident,
            "name": name,
            "created_ms": created,
            "modified_ms": modified,
            "purged_ms": purged,
            "settings": {
                "delivery_delay": delay,
                "delivery_paused": bool(paused),
                "message_retention_period": retention,
            },
        },
        QueueInfo,
    )
    return msgspec.convert(key, int), msgspec.structs.replace(info, consumers=consumers)
