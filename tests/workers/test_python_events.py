"""Cron events and batches of messages, delivered to Python workers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from skerry.errors import WorkerError
from skerry.storage.queues.base import (
    MessageRetry,
    QueueBatch,
    QueueMessage,
    QueueMetrics,
    QueueResult,
)
from skerry.workers.workerd.config import Options, pattern
from tests.workers.python_rig import eventually, python_worker

SCHEDULED = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def scheduled(self, controller, env, ctx):
            print(controller.cron, controller.scheduledTime, env.NAME)
            if controller.cron == "boom":
                raise ValueError("no")
            if controller.cron == "never":
                controller.noRetry()
"""


async def test_cron_events(tmp_path: Path) -> None:
    async with python_worker(tmp_path, SCHEDULED, variables={"NAME": "n"}) as rig:
        assert rig.host.handlers == ["scheduled"]
        told = await rig.host.scheduled("* * * * *", 1_700_000_000.5)
        assert (told.outcome, told.no_retry) == ("ok", False)
        assert rig.said() == ["* * * * * 1700000000500 n"]
        assert (await rig.host.scheduled("boom", 0.0)).outcome == "exception"
        assert "ValueError: no" in rig.said()[-1]
        assert (await rig.host.scheduled("never", 0.0)).no_retry
        status, text = await rig.ask("GET", "/")
        assert status == 500
        assert "Handler does not export a fetch() function." in text


async def test_a_cron_handler_can_be_tested_by_http(tmp_path: Path) -> None:
    options = Options(reserved=["/client/v4/*"], test_scheduled=True)
    async with python_worker(tmp_path, SCHEDULED, variables={"NAME": "n"}, options=options) as rig:
        assert await rig.get("/__scheduled?cron=*+*+*+*+*&time=5000") == "Ran scheduled event"
        assert rig.said() == ["* * * * * 5000 n"]
        assert (await rig.ask("GET", "/cdn-cgi/handler/scheduled?cron=boom"))[0] == 500
        assert (await rig.ask("GET", "/client/v4/x"))[0] == 404
    assert pattern(options.reserved, test_scheduled=True)


def batch(*messages: tuple[str, bytes, str]) -> QueueBatch:
    return QueueBatch(
        queue="q", metrics=QueueMetrics(backlog_count=7),
        messages=[
            QueueMessage(id=name, body=body, content_type=kind, timestamp_ms=1000, attempts=2)
            for name, body, kind in messages
        ],
    )  # fmt: skip


async def test_messages_are_acknowledged_and_retried(tmp_path: Path) -> None:
    code = """
    async def on_queue(batch, env, ctx):
        for message in batch.messages:
            body = message.body
            print(batch.queue, message.id, message.attempts, message.timestamp.toISOString(),
                  body.to_py() if hasattr(body, "to_py") else body)
            if message.id == "a":
                message.ack()
            if message.id == "b":
                message.retry(delaySeconds=5)
            if message.id == "c":
                message.retry({"delaySeconds": 6})
                message.ack()
        print(batch.metadata.metrics.backlog_count)
    """
    async with python_worker(tmp_path, code) as rig:
        told = await rig.host.queue(
            batch(("a", b'{"x":1}', "json"), ("b", b"text", "text"), ("c", b"\x01", "bytes"))
        )
        assert told == QueueResult(
            acks=["a"], retries=[MessageRetry(id="b", delay=5), MessageRetry(id="c", delay=6)]
        )
        assert rig.said()[0] == "q a 2 1970-01-01T00:00:01.000Z {'x': 1}"
        assert rig.said()[-1] == "7"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("batch.ackAll()", {"ack_all": True}),
        ("batch.retryAll(delaySeconds=3)", {"retry_all": True, "retry_delay": 3}),
        ("batch.retry_all()", {"retry_all": True}),
        ("1/0", {"outcome": "exception"}),
        ("batch.messages[0].ack(); 1/0", {"outcome": "exception", "acks": ["a"]}),
        ("pass", {}),
    ],
)
async def test_the_whole_batch(tmp_path: Path, body: str, wanted: dict[str, Any]) -> None:
    code = f"""
    from workers import WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def queue(self, batch):
            {body}
    """
    async with python_worker(tmp_path, code) as rig:
        assert await rig.host.queue(batch(("a", b"{}", "json"))) == QueueResult(**wanted)


async def test_what_cannot_be_delivered(tmp_path: Path) -> None:
    code = """
    def on_fetch():
        pass
    """
    async with python_worker(tmp_path, code) as rig:
        assert (await rig.host.queue(batch(("a", b"{}", "json")))).outcome == "exception"
        assert "Handler does not export a queue() function." in rig.said()[-1]
        await rig.host.stop(2.0)
        with pytest.raises(WorkerError, match="has ended"):
            await rig.host.scheduled("x", 0.0)


async def test_a_body_in_javascripts_own_form_is_told(tmp_path: Path) -> None:
    code = """
    def on_queue(batch):
        print(batch.messages[0].body)
        batch.messages[0].ack()
        print(batch.messages[1].body)
    """
    async with python_worker(tmp_path, code) as rig:
        told = await rig.host.queue(batch(("a", b"1", "json"), ("b", b"\xff\x0f", "v8")))
        assert told == QueueResult(outcome="exception", acks=["a"])
        assert "contentType 'v8'" in rig.said()[-1]


async def test_an_event_outlives_a_reload(tmp_path: Path) -> None:
    code = """
    import asyncio

    async def on_scheduled():
        print("begun")
        await asyncio.sleep(0.4)
        print("ended")
    """
    async with python_worker(tmp_path, code) as rig:
        first = rig.host
        running = asyncio.create_task(first.scheduled("x", 0.0))
        await eventually(lambda: rig.said() == ["begun"])
        await rig.start()
        await first.stop(5.0)
        assert (await running).outcome == "ok"
        assert rig.said() == ["begun", "ended"]
