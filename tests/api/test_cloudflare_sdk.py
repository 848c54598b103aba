"""The published cloudflare package, unmodified, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import cloudflare
import pytest

from skerry.errors import AiError, error_table

from .conftest import Rig
from .stub import CHAT, EMBED, errors_of


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    async with cloudflare.AsyncCloudflare(
        base_url=f"{rig.url}/client/v4", api_token="none", max_retries=0
    ) as made:
        yield made


async def test_run(rig: Rig, client: cloudflare.AsyncCloudflare) -> None:
    got: Any = await client.ai.run(EMBED, account_id="mine", text=["a", "b"])
    assert got["shape"] == [2, 4]
    assert rig.ai.asked[0].account == "mine"
    got = await client.ai.run(CHAT, account_id="mine", messages=[{"role": "user", "content": "hi"}])
    assert got["response"] == "You said: hi"
    assert got["usage"]["total_tokens"] == 5


async def test_models_are_paged(client: cloudflare.AsyncCloudflare) -> None:
    found: list[Any] = [
        model async for model in client.ai.models.list(account_id="mine", per_page=25)
    ]
    names = [model["name"] for model in found]
    assert len(names) == len(set(names)) == 64
    only: list[Any] = [
        model
        async for model in client.ai.models.list(
            account_id="mine", task="Text Generation", hide_experimental=True
        )
    ]
    assert [model["name"] for model in only] == [CHAT]
    assert only[0]["task"]["name"] == "Text Generation"
    assert {"property_id": "context_window", "value": "2048"} in only[0]["properties"]


async def test_schema(client: cloudflare.AsyncCloudflare) -> None:
    raw = await client.ai.models.schema.get(account_id="mine", model=EMBED)
    got: dict[str, Any] = raw.to_dict()
    assert got["input"]["required"] == ["text"]
    assert "shape" in got["output"]["properties"]


async def test_tasks_and_authors(client: cloudflare.AsyncCloudflare) -> None:
    tasks: list[Any] = [each async for each in client.ai.tasks.list(account_id="mine")]
    assert "Text Generation" in [each["name"] for each in tasks]
    authors: list[Any] = [each async for each in client.ai.authors.list(account_id="mine")]
    assert "many" in [each["name"] for each in authors]


@pytest.mark.parametrize("kind", error_table(), ids=lambda kind: kind.__name__)
async def test_every_error(
    rig: Rig, client: cloudflare.AsyncCloudflare, kind: type[AiError]
) -> None:
    rig.ai.fail = errors_of(kind)
    with pytest.raises(cloudflare.APIStatusError) as caught:
        await client.ai.run(CHAT, account_id="mine", prompt="hi")
    assert caught.value.status_code == kind.status
    assert caught.value.errors[0].code == kind.code
    if kind.status == 429:
        assert isinstance(caught.value, cloudflare.RateLimitError)


async def test_sync_client(rig: Rig) -> None:
    def use() -> Any:
        with cloudflare.Cloudflare(
            base_url=f"{rig.url}/client/v4", api_token="none", max_retries=0
        ) as client:
            return client.ai.run(CHAT, account_id="mine", prompt="hi")

    assert (await asyncio.to_thread(use))["response"] == "You said: hi"
