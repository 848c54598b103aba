"""The file of an account's queues. One file for all: a dead letter moves in one transaction."""

from __future__ import annotations

SCHEMA = (
    """
    CREATE TABLE queues (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        modified_ms INTEGER NOT NULL,
        delay INTEGER NOT NULL,
        paused INTEGER NOT NULL,
        retention INTEGER NOT NULL,
        purged_ms INTEGER NOT NULL DEFAULT 0,
        backlog_count INTEGER NOT NULL DEFAULT 0,
        backlog_bytes INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE consumers (
        id TEXT PRIMARY KEY,
        queue INTEGER NOT NULL UNIQUE,
        type TEXT NOT NULL,
        script TEXT NOT NULL,
        settings TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- visible_ms: when it may be leased, or leased again. lease: the nonce of the last lease.
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        body BLOB NOT NULL,
        content_type TEXT NOT NULL,
        sent_ms INTEGER NOT NULL,
        visible_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        lease TEXT
    ) STRICT;
    CREATE INDEX messages_visible ON messages (queue, visible_ms);
    CREATE INDEX messages_sent ON messages (queue, sent_ms);
    CREATE TRIGGER message_in AFTER INSERT ON messages BEGIN
        UPDATE queues SET backlog_count = backlog_count + 1,
            backlog_bytes = backlog_bytes + length(new.body) WHERE key = new.queue;
    END;
    CREATE TRIGGER message_out AFTER DELETE ON messages BEGIN
        UPDATE queues SET backlog_count = backlog_count - 1,
            backlog_bytes = backlog_bytes - length(old.body) WHERE key = old.queue;
    END;
    """,
)
