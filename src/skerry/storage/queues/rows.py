"""Queues as rows: what happens inside one transaction. Times are Unix milliseconds."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import apsw

from skerry.storage.queues.base import (
    RETENTION,
    ConsumerSettings,
    Lease,
    Outgoing,
    QueueMessage,
    QueueMetrics,
    Settled,
)

_EXPIRED = 1000
"""Messages that one transaction deletes for their age."""


class QueueRow(NamedTuple):
    """What sending and leasing need to know of a queue."""

    key: int
    delay: int
    paused: int
    retention: int
    backlog_count: int
    backlog_bytes: int


class Taken(NamedTuple):
    """What a lease or an answer did: `given_up` messages were moved away or dropped."""

    messages: list[QueueMessage]
    settled: Settled
    expired: int
    given_up: list[str]


def new_id() -> str:
    """An id like Cloudflare's: 32 hex digits."""
    return secrets.token_hex(16)


def find(connection: apsw.Connection, name: str) -> QueueRow | None:
    """A queue by name."""
    row = connection.execute(
        "SELECT key, delay, paused, retention, backlog_count, backlog_bytes FROM queues"
        " WHERE name = ?",
        (name,),
    ).fetchone()
    return None if row is None else QueueRow(*row)


def made(connection: apsw.Connection, name: str, now: int) -> QueueRow:
    """A queue by name, made with the defaults where there is none."""
    row = find(connection, name)
    if row is not None:
        return row
    connection.execute(
        "INSERT INTO queues (id, name, created_ms, modified_ms, delay, paused, retention)"
        " VALUES (?, ?, ?, ?, 0, 0, ?)",
        (new_id(), name, now, now, RETENTION),
    )
    return QueueRow(connection.last_insert_rowid(), 0, 0, RETENTION, 0, 0)


def metrics(connection: apsw.Connection, name: str) -> QueueMetrics:
    """What waits in a queue; nothing where there is none."""
    row = find(connection, name)
    if row is None:
        return QueueMetrics()
    oldest = connection.execute("SELECT min(sent_ms) FROM messages WHERE queue = ?", (row.key,)).get
    return QueueMetrics(
        backlog_count=row.backlog_count,
        backlog_bytes=row.backlog_bytes,
        oldest_timestamp_ms=oldest or 0,
    )


def insert(
    connection: apsw.Connection,
    queue: QueueRow,
    messages: Sequence[Outgoing],
    now: int,
    delay: int | None = None,
) -> None:
    """Add messages; the delay is the message's, else `delay`, else the queue's."""
    common = queue.delay if delay is None else delay
    connection.executemany(
        "INSERT INTO messages (queue, id, body, content_type, sent_ms, visible_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                queue.key,
                new_id(),
                each.body,
                each.content_type,
                now,
                now + 1000 * (common if each.delay is None else each.delay),
            )
            for each in messages
        ],
    )


def ready(connection: apsw.Connection, name: str, most: int, now: int) -> tuple[int, int | None]:
    """How many can be leased, counted to `most`, and the first one's time."""
    row = find(connection, name)
    if row is None or row.paused:
        return 0, None
    times = [
        time
        for (time,) in connection.execute(
            "SELECT visible_ms FROM messages WHERE queue = ? AND sent_ms > ?"
            " ORDER BY visible_ms LIMIT ?",
            (row.key, now - row.retention * 1000, most),
        )
    ]
    return sum(time <= now for time in times), times[0] if times else None


def expire(connection: apsw.Connection, queue: QueueRow, now: int) -> int:
    """Delete what has been kept for the queue's retention and is not being consumed just now.

    At most some at a time; the others are not leased any more.
    """
    connection.execute(
        "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE queue = ?"
        " AND sent_ms <= ? AND (lease IS NULL OR visible_ms <= ?) LIMIT ?)",
        (queue.key, now - queue.retention * 1000, now, _EXPIRED),
    )
    return connection.changes()


def lease(
    connection: apsw.Connection,
    name: str,
    consumer: ConsumerSettings,
    most: int,
    now: int,
    until: int,
) -> Taken:
    """Lease what is visible, oldest first."""
    queue = find(connection, name)
    if queue is None or queue.paused:
        return Taken([], Settled(), 0, [])
    expired = expire(connection, queue, now)
    given_up: list[str] = []
    messages: list[QueueMessage] = []
    while len(messages) < most:
        rows: list[Any] = connection.execute(
            "SELECT seq, id, body, content_type, sent_ms, attempts FROM messages"
            " WHERE queue = ? AND visible_ms <= ? AND sent_ms > ?"
            " ORDER BY visible_ms, seq LIMIT ?",
            (queue.key, now, now - queue.retention * 1000, most - len(messages)),
        ).fetchall()
        if not rows:
            break
        for seq, ident, body, content_type, sent, attempts in rows:
            if attempts > consumer.max_retries:  # its last consumer died with it
                give_up(connection, seq, consumer, now)
                given_up.append(ident)
                continue
            nonce = secrets.token_hex(8)
            connection.execute(
                "UPDATE messages SET visible_ms = ?, attempts = attempts + 1, lease = ?"
                " WHERE seq = ?",
                (until, nonce, seq),
            )
            messages.append(
                QueueMessage(
                    id=ident,
                    body=body,
                    content_type=content_type,
                    timestamp_ms=sent,
                    attempts=attempts + 1,
                    lease_id=f"{ident}.{attempts + 1}.{nonce}",
                )
            )
    return Taken(messages, Settled(), expired, given_up)


def give_up(connection: apsw.Connection, seq: int, consumer: ConsumerSettings, now: int) -> None:
    """Move a message to the dead letter queue, or drop it."""
    if consumer.dead_letter_queue:
        dead = made(connection, consumer.dead_letter_queue, now)
        connection.execute(
            "INSERT INTO messages (queue, id, body, content_type, sent_ms, visible_ms)"
            " SELECT ?, ?, body, content_type, ?, ? FROM messages WHERE seq = ?",
            (dead.key, new_id(), now, now + dead.delay * 1000, seq),
        )
    connection.execute("DELETE FROM messages WHERE seq = ?", (seq,))


def settle(
    connection: apsw.Connection,
    name: str,
    consumer: ConsumerSettings,
    acks: Sequence[str],
    retries: Sequence[Lease],
    now: int,
) -> Taken:
    """Delete what was acknowledged, make visible or give up what is to be retried."""
    queue = find(connection, name)
    key = -1 if queue is None else queue.key
    acked = retried = 0
    warnings: dict[str, str] = {}
    given_up: list[str] = []
    for lease_id in acks:
        ident, attempt, _ = parts(lease_id)
        connection.execute(
            "DELETE FROM messages WHERE id = ? AND queue = ? AND attempts >= ?",
            (ident, key, attempt),
        )
        if connection.changes():
            acked += 1
        else:
            warnings[lease_id] = _GONE
    for each in retries:
        ident, _, nonce = parts(each.lease_id)
        row = connection.execute(
            "SELECT seq, attempts FROM messages WHERE id = ? AND queue = ? AND lease = ?",
            (ident, key, nonce),
        ).fetchone()
        if row is None:
            warnings[each.lease_id] = _GONE
            continue
        seq, attempts = row
        retried += 1
        if attempts > consumer.max_retries:
            give_up(connection, seq, consumer, now)
            given_up.append(ident)
            continue
        delay = consumer.retry_delay if each.delay is None else each.delay
        connection.execute(
            "UPDATE messages SET visible_ms = ?, lease = NULL WHERE seq = ?",
            (now + delay * 1000, seq),
        )
    settled = Settled(acked=acked, retried=retried, warnings=warnings)
    return Taken([], settled, 0, given_up)


_GONE = "this lease is not known: its message was answered, leased again, expired or deleted"


def parts(lease_id: str) -> tuple[str, int, str]:
    """Message id, attempt and nonce of a lease id; what is none matches no message."""
    words = lease_id.split(".")
    if len(words) != 3 or not (words[1].isascii() and words[1].isdigit() and len(words[1]) < 10):
        return "", 0, ""
    return words[0], int(words[1]), words[2]


def extend(connection: apsw.Connection, lease_ids: Sequence[str], until: int) -> None:
    """Move the end of leases that nobody took over."""
    for lease_id in lease_ids:
        ident, _, nonce = parts(lease_id)
        connection.execute(
            "UPDATE messages SET visible_ms = ? WHERE id = ? AND lease = ?", (until, ident, nonce)
        )


def release(connection: apsw.Connection, lease_ids: Sequence[str], now: int) -> None:
    """End leases as if they had not been."""
    for lease_id in lease_ids:
        ident, _, nonce = parts(lease_id)
        connection.execute(
            "UPDATE messages SET visible_ms = ?, attempts = attempts - 1, lease = NULL"
            " WHERE id = ? AND lease = ?",
            (now, ident, nonce),
        )


def peek(connection: apsw.Connection, name: str, most: int, now: int) -> list[QueueMessage]:
    """The next messages that could be leased."""
    queue = find(connection, name)
    if queue is None:
        return []
    return [
        QueueMessage(
            id=ident, body=body, content_type=content_type, timestamp_ms=sent, attempts=attempts
        )
        for ident, body, content_type, sent, attempts in connection.execute(
            "SELECT id, body, content_type, sent_ms, attempts FROM messages"
            " WHERE queue = ? AND visible_ms <= ? AND sent_ms > ?"
            " ORDER BY visible_ms, seq LIMIT ?",
            (queue.key, now, now - queue.retention * 1000, most),
        )
    ]
