"""Requests made from the OpenAPI document: none may meet a fault of the node, and every answer
is one that the document names. On a stub of the AI, on a real node with dummy models in real
runners, and on packaged models."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from skerry.catalog.store import Store
from skerry.node import Node
from skerry.settings import Settings
from skerry.types import ModelFiles
from tests.dummies import settings as dummies

from .conftest import Rig

RUN = "/client/v4/accounts/{account}/ai/run"
RUN_MODEL = f"{RUN}/{{model}}"
MOUNTS = ("/v1", "/client/v4/accounts/{account}/ai/models", RUN)
EMBED, SENTIMENT = "@skerry/minilm-l6-v2", "@skerry/minilm-sst2"

pytestmark = pytest.mark.timeout(180)


async def document(url: str, mounts: tuple[str, ...], names: list[str]) -> dict[str, Any]:
    """The node's document cut to some paths, with real names wherever a model is asked for."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/openapi.json") as got:
        found = await got.json()
    found["paths"] = {path: it for path, it in found["paths"].items() if path.startswith(mounts)}
    named = json.dumps({"enum": names})
    raw = re.sub(r'"model": \{"type": "string"\}', f'"model": {named}', json.dumps(found))
    named_in_path = f'"schema": {named}, "example": "@'
    cut: dict[str, Any] = json.loads(
        re.sub(r'"schema": \{"type": "string", "minLength": 1\}, "example": "@', named_in_path, raw)
    )
    return cut


def operations(found: dict[str, Any]) -> Iterator[Any]:
    schema: Any = schemathesis.openapi.from_dict(found)
    for result in schema.get_all_operations():
        yield result.ok()


def check(found: dict[str, Any], url: str, examples: int) -> list[int]:
    """Ask for every operation; the statuses that came."""
    seen: list[int] = []

    def use(operation: Any) -> None:
        allowed = set(operation.definition.raw["responses"])

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            answer = case.call(base_url=url, timeout=20)
            seen.append(answer.status_code)
            assert answer.status_code < 500, (case.method, case.path, answer.text)
            assert str(answer.status_code) in allowed, (case.path, answer.text)

        one()

    for operation in operations(found):
        use(operation)
    return seen


async def test_on_a_stub(rig: Rig) -> None:
    names = sorted(model.name for model in rig.catalog.entries())[-6:]
    found = await document(rig.url, MOUNTS, names)
    seen = await asyncio.to_thread(check, found, rig.url, 15)
    assert {200, 400} <= set(seen)


async def test_on_a_node_with_dummy_models(tmp_path: Path) -> None:
    names = ["@skerry/dummy-chat", "@skerry/dummy-embed"]
    async with Node(dummies(tmp_path, preload=names)) as node:
        url = await node.serve()
        found = await document(url, MOUNTS, names)
        before = {each.model: each.pid for each in node.inference.status()}
        seen = await asyncio.to_thread(check, found, url, 20)
        assert {200, 400} <= set(seen)
        assert {each.model: each.pid for each in node.inference.status()} == before


@pytest.mark.models
@pytest.mark.parametrize("model", [EMBED, SENTIMENT])
async def test_on_packaged_models(
    model: str, pulled: Callable[[str], ModelFiles], store: Store, tmp_path: Path
) -> None:
    """The run of one model, its body made from the schema that the node tells of it."""
    await asyncio.to_thread(pulled, model)
    chosen = Settings(data_dir=tmp_path, models=store.root, port=0, preload=[model])
    async with Node(chosen) as node:
        url = await node.serve()
        found = await document(url, (RUN_MODEL,), [model])
        where = f"{url}/client/v4/accounts/local/ai/models/schema?model={model}"
        async with aiohttp.ClientSession() as http, http.get(where) as got:
            schema = (await got.json())["result"]["input"]
        post = found["paths"][RUN_MODEL]["post"]
        post["requestBody"]["content"] = {"application/json": {"schema": schema}}
        [status] = node.inference.status()
        seen = await asyncio.to_thread(check, found, url, 60)
        assert seen.count(200) > 10
        [after] = node.inference.status()
        assert (after.pid, after.restarts) == (status.pid, 0)
