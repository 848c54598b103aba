"""Queues over their wires: as workerd sends it, and with the published cloudflare SDK."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cloudflare
import pytest

from skerry.api.bindings.queues import QueueFace
from skerry.storage.open import Stores
from skerry.storage.queues.base import ConsumerSettings

from .faces import Now, bound, rest

NOW = 1_800_000_000_000


@pytest.fixture
def clock() -> Now:
    return Now()


@pytest.fixture
async def stores(tmp_path: Path, clock: Now) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=clock)
    yield made
    await made.close()


@pytest.fixture
async def wire(stores: Stores, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with bound({"Q": QueueFace(stores.queue("acc", "jobs"), 7)}, tmp_path) as session:
        yield session("Q")


@pytest.fixture
async def client(stores: Stores) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    async with (
        rest(stores) as url,
        cloudflare.AsyncCloudflare(base_url=url, api_token="none", max_retries=0) as made,
    ):
        yield made


async def test_the_calls_of_a_worker(
    wire: aiohttp.ClientSession, stores: Stores, clock: Now
) -> None:
    async with wire.get("/metrics") as answer:
        assert await answer.json() == {"backlogCount": 0, "backlogBytes": 0}
    headers = {"X-Msg-Fmt": "json", "X-Msg-Delay-Secs": "0"}
    async with wire.post("/message", data=b'{"a":1}', headers=headers) as answer:
        metrics = {"backlogCount": 1, "backlogBytes": 7, "oldestMessageTimestamp": NOW}
        assert await answer.json() == {"metadata": {"metrics": metrics}}
    async with wire.get("/metrics") as answer:
        assert await answer.json() == metrics
    batch = {
        "messages": [
            {"body": "ImEi", "contentType": "json"},
            {"body": "Yg==", "contentType": "text", "delaySecs": 3},
        ]
    }
    async with wire.post("/batch", json=batch, headers={"X-Msg-Delay-Secs": "5"}) as answer:
        assert answer.status == 200
    async with wire.post("/message", data=b"\xff\x0f") as answer:  # the binding's delay: 7
        assert answer.status == 200
    queue, seen = stores.queue("acc", "jobs"), []
    for _ in range(8):
        seen.append(
            [
                (each.body, each.content_type)
                for each in await queue.lease(ConsumerSettings(), most=10, seconds=99)
            ]
        )
        clock.seconds += 1
    assert seen == [
        [(b'{"a":1}', "json")],
        [],
        [],
        [(b"b", "text")],
        [],
        [(b'"a"', "json")],
        [],
        [(b"\xff\x0f", "v8")],
    ]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("/message", b"x" * 128_001, {}, 413, "exceeds limit of 128000 (10204)"),
        ("/message", b"x", {"X-Msg-Fmt": "xml"}, 400, "(10203)"),
        ("/message", b"x", {"X-Msg-Delay-Secs": "-1"}, 400, "(10203)"),
        ("/message", b"x", {"X-Msg-Delay-Secs": "86401"}, 400, "(10203)"),
        ("/message", b"x", {"X-Msg-Delay-Secs": "9" * 99}, 400, "(10203)"),
        ("/batch", b"x", {}, 400, "(10203)"),
        ("/batch", b'{"messages":[]}', {}, 400, "(10206)"),
        ("/batch", b'{"messages":[{"body":"!"}]}', {}, 400, "base64"),
        ("/batch", b'{"messages":[{"body":"YQ==","delaySecs":1e9}]}', {}, 400, "(10203)"),
        ("/batch", b'{"messages":' + b"[" * 9999, {}, 400, "(10203)"),
        ("/batch", b"x" * 600_000, {}, 413, "exceeds limit of 256000 (10205)"),
        ("/other", b"", {}, 404, "/other"),
    ],
)
async def test_what_is_refused_says_why_in_its_reason(
    wire: aiohttp.ClientSession,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    async with wire.post(path, data=body, headers=headers) as answer:
        assert answer.status == status
        assert reason in (answer.reason or "")
    async with wire.get("/metrics") as answer:
        assert (await answer.json())["backlogCount"] == 0


async def test_sdk_queues_and_consumers(client: cloudflare.AsyncCloudflare) -> None:
    queues = client.queues
    made: Any = await queues.create(account_id="acc", queue_name="jobs")
    assert (made.queue_name, made.settings.message_retention_period) == ("jobs", 345_600)
    with pytest.raises(cloudflare.ConflictError) as caught:
        await queues.create(account_id="acc", queue_name="jobs")
    assert caught.value.errors[0].code == 11009
    at: dict[str, Any] = {"account_id": "acc", "queue_id": made.queue_id}
    edited: Any = await queues.edit(**at, settings={"delivery_delay": 3})
    assert (edited.settings.delivery_delay, edited.queue_name) == (3, "jobs")
    updated: Any = await queues.update(**at, queue_name="tasks", settings={"delivery_delay": 0})
    assert updated.queue_name == "tasks"
    consumer: Any = await queues.consumers.create(
        **at,
        type="worker",
        script_name="w",
        dead_letter_queue="dead",
        settings={"batch_size": 20, "max_retries": 5, "max_wait_time_ms": 1000, "retry_delay": 9},
    )
    assert (consumer.script_name, consumer.settings.batch_size) == ("w", 20)
    with pytest.raises(cloudflare.ConflictError):
        await queues.consumers.create(**at, type="http_pull")
    changed: Any = await queues.consumers.update(
        consumer.consumer_id, **at, type="http_pull", settings={"visibility_timeout_ms": 9000}
    )
    assert changed.settings.visibility_timeout_ms == 9000
    [listed] = [each async for each in queues.consumers.list(**at)]
    got: Any = await queues.consumers.get(consumer.consumer_id, **at)
    assert listed == got == changed
    [shown] = [each async for each in queues.list(account_id="acc")]
    assert [each.consumer_id for each in shown.consumers or []] == [consumer.consumer_id]
    await queues.consumers.delete(consumer.consumer_id, **at)
    with pytest.raises(cloudflare.NotFoundError):
        await queues.consumers.get(consumer.consumer_id, **at)
    await queues.delete(**at)
    with pytest.raises(cloudflare.NotFoundError) as missing:
        await queues.get(**at)
    assert missing.value.errors[0].code == 10104


async def test_sdk_messages(client: cloudflare.AsyncCloudflare, clock: Now) -> None:
    made: Any = await client.queues.create(account_id="acc", queue_name="jobs")
    at: dict[str, Any] = {"account_id": "acc", "queue_id": made.queue_id}
    messages = client.queues.messages
    pushed: Any = await messages.push(**at, body={"a": [1]}, content_type="json")
    assert pushed.metadata.metrics.backlog_count == 1
    await messages.bulk_push(
        **at,
        delay_seconds=5,
        messages=[
            {"body": "hi", "content_type": "text", "delay_seconds": 0},
            {"body": "late", "content_type": "text"},
        ],
    )
    metrics: Any = await client.queues.get_metrics(**at)
    assert (metrics.backlog_count, metrics.oldest_message_timestamp_ms) == (3, NOW)
    peeked: Any = await messages.peek(**at, batch_size=1)
    assert [base64.b64decode(each.body) for each in peeked.messages] == [b'{"a":[1]}']
    pulled: Any = await messages.pull(**at, batch_size=10, visibility_timeout_ms=6000)
    assert pulled.message_backlog_count == 3
    first, second = pulled.messages
    assert (base64.b64decode(first.body), second.body) == (b'{"a":[1]}', "hi")
    assert (first.attempts, second.metadata) == (1, {"CF-Content-Type": "text"})
    answered: Any = await messages.ack(
        **at,
        acks=[{"lease_id": first.lease_id}, {"lease_id": "forged"}],
        retries=[{"lease_id": second.lease_id, "delay_seconds": 60}],
    )
    assert (answered.ack_count, answered.retry_count) == (1, 1)
    assert answered.warnings.keys() == {"forged"}
    clock.seconds += 5
    pulled = await messages.pull(**at)
    assert [each.body for each in pulled.messages] == ["late"]
    clock.seconds += 55
    peeked = await messages.peek(**at)
    purged: Any = await messages.purge(
        **at, refs=[{"ref": peeked.messages[0].ref}, {"ref": "none"}]
    )
    assert purged.warnings.keys() == {"none"}
    status: Any = await client.queues.purge.status(**at)
    assert status.completed is None
    with pytest.raises(cloudflare.BadRequestError):
        await client.queues.purge.start(**at)
    await client.queues.purge.start(**at, delete_messages_permanently=True)
    status = await client.queues.purge.status(**at)
    assert status.completed == "2027-01-15T08:01:00.000000Z"
    metrics = await client.queues.get_metrics(**at)
    assert metrics.backlog_count == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "", "{}", 400, 10207),
        ("POST", "", '{"queue_name":"../x"}', 400, 11003),
        ("POST", "", '{"queue_name":"x","settings":{"delivery_delay":-1}}', 400, 10207),
        ("POST", "", '{"queue_name":1}', 400, 10400),
        ("GET", "/none", "", 404, 10104),
        ("POST", "/none/messages", '{"body":1}', 404, 10104),
        ("POST", "/jobs/messages", '{"body":1,"content_type":"text"}', 400, 10203),
        ("POST", "/jobs/messages", '{"body":"x","content_type":"bytes"}', 400, 10203),
        ("POST", "/jobs/messages", '{"body":"\\ud835","content_type":"text"}', 400, None),
        ("POST", "/jobs/messages", '{"body":' + "[" * 9999, 400, 10400),
        ("POST", "/jobs/messages", '{"delay_seconds":1.5}', 400, 10400),
        ("POST", "/jobs/messages/batch", "{}", 400, 10400),
        ("POST", "/jobs/messages/batch", '{"messages":[]}', 400, 10206),
        ("POST", "/jobs/messages/pull", '{"batch_size":0}', 400, 10207),
        ("POST", "/jobs/messages/pull", '{"batch_size":101}', 400, 10207),
        ("POST", "/jobs/messages/pull", '{"visibility_timeout_ms":43200001}', 400, 10207),
        ("POST", "/jobs/messages/pull", '{"visibility_timeout_ms":-5}', 400, 10207),
        ("POST", "/jobs/messages/peek", '{"batch_size":-1}', 400, 10207),
        ("POST", "/jobs/messages/ack", '{"acks":["x"]}', 400, 10400),
        (
            "POST",
            "/jobs/messages/ack",
            '{"retries":[{"lease_id":"x","delay_seconds":-1}]}',
            400,
            10203,
        ),
        ("POST", "/jobs/consumers", "{}", 400, 10207),
        ("POST", "/jobs/consumers", '{"type":"other"}', 400, 10207),
        ("POST", "/jobs/consumers", '{"script":"w","settings":{"batch_size":0}}', 400, 10207),
        ("POST", "/jobs/consumers", '{"script":"w","dead_letter_queue":"jobs"}', 400, 10207),
        ("DELETE", "/jobs/consumers/none", "", 404, 11001),
        ("PUT", "/jobs/consumers/none", '{"script":"w"}', 404, 11001),
        ("GET", "?page=0", "", 400, 10007),
    ],
)
async def test_hostile_requests(
    stores: Stores, method: str, path: str, body: str, status: int, code: int | None
) -> None:
    await stores.queues("acc").create("jobs")
    async with (
        rest(stores) as url,
        aiohttp.ClientSession() as http,
        http.request(method, f"{url}/accounts/acc/queues{path}", data=body) as answer,
    ):
        assert answer.status == status
        told = await answer.json()
    assert told["success"] is False
    assert code in (None, told["errors"][0]["code"])
    assert [each.name for each in await stores.queues("acc").list()] == ["jobs"]
    assert (await stores.queue("acc", "jobs").metrics()).backlog_count == 0


async def test_wrangler_asks_by_name_and_by_page(stores: Stores) -> None:
    for name in ("a", "b", "c"):
        await stores.queues("acc").create(name)
    async with rest(stores) as url, aiohttp.ClientSession() as http:
        base = f"{url}/accounts/acc/queues"

        async def names(query: str) -> list[str]:
            async with http.get(f"{base}?{query}") as answer:
                return [each["queue_name"] for each in (await answer.json())["result"]]

        assert await names("name=b") == ["b"]
        assert await names("name=none") == []
        assert await names("page=2&per_page=2") == ["c"]
        assert await names("page=3&per_page=2") == []
