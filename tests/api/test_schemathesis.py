"""Requests made from the OpenAPI document: none may meet a fault of the node, and every answer
is one that the document names."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from .conftest import Rig

MOUNTS = ("/v1", "/client/v4/accounts/{account}/ai/models", "/client/v4/accounts/{account}/ai/run")


@pytest.mark.timeout(180)
async def test_requests_made_from_the_document(rig: Rig) -> None:
    async with rig.http.get(f"{rig.url}/openapi.json") as got:
        document = await got.json()
    document["paths"] = {
        path: item for path, item in document["paths"].items() if path.startswith(MOUNTS)
    }
    names = json.dumps({"enum": sorted(model.name for model in rig.catalog.entries())[-6:]})
    raw = re.sub(r'"model": \{"type": "string"\}', f'"model": {names}', json.dumps(document))
    schema: Any = schemathesis.openapi.from_dict(json.loads(raw))

    seen: set[int] = set()

    def check(operation: Any) -> None:
        allowed = set(operation.definition.raw["responses"])

        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def one(case: Any) -> None:
            answer = case.call(base_url=rig.url, timeout=20)
            seen.add(answer.status_code)
            assert answer.status_code < 500, (case.method, case.path, answer.text)
            assert str(answer.status_code) in allowed, (case.path, answer.text)

        one()

    def use() -> None:
        for result in schema.get_all_operations():
            check(result.ok())

    await asyncio.to_thread(use)
    assert {200, 400} <= seen
