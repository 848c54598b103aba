"""Vectorize over its wires: as workerd's client sends it, and with the published cloudflare SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cloudflare
import pytest

from skerry.api.bindings.vectorize import VectorizeFace
from skerry.storage.open import Stores
from skerry.storage.vectorize.base import IndexConfig

from .faces import Now, bound, rest


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
async def wire(stores: Stores, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    await stores.vectorize("acc").create("i", IndexConfig(dimensions=2, metric="cosine"))
    faces = {
        "I": VectorizeFace(stores.vectorize("acc"), "i"),
        "NONE": VectorizeFace(stores.vectorize("acc"), "none"),
    }
    async with bound(faces, tmp_path) as session:
        yield session("I")


@pytest.fixture
async def client(stores: Stores) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    async with (
        rest(stores) as url,
        cloudflare.AsyncCloudflare(base_url=url, api_token="none", max_retries=0) as made,
    ):
        yield made


NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_the_calls_of_a_worker(wire: aiohttp.ClientSession) -> None:
    body = (
        '{"id":"a","values":[1,0],"namespace":"n","metadata":{"s":"x"}}\n{"id":"b","values":[0,1]}'
    )
    async with wire.post("/insert", data=body, headers=NDJSON) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        inserted = await answer.json()
    async with wire.get("/info") as answer:
        assert await answer.json() == {
            "vectorCount": 2,
            "dimensions": 2,
            "processedUpToDatetime": "2027-01-15T08:00:00Z",
            "processedUpToMutation": inserted["mutationId"],
        }
    async with wire.post("/upsert", data='{"id":"b","values":[0,2]}\r\n\r\n') as answer:
        assert (await answer.json()).keys() == {"mutationId"}
    query = {"vector": [1, 0], "topK": 1, "returnValues": True, "returnMetadata": "all"}
    async with wire.post("/query", json=query) as answer:
        assert await answer.json() == {
            "count": 1,
            "matches": [
                {
                    "id": "a",
                    "score": 1.0,
                    "values": [1, 0],
                    "namespace": "n",
                    "metadata": {"s": "x"},
                }
            ],
        }
    async with wire.post("/query", json={"vectorId": "b", "returnMetadata": True}) as answer:
        assert [each["id"] for each in (await answer.json())["matches"]] == ["b", "a"]
    async with wire.post("/getByIds", json={"ids": ["b", "none"]}) as answer:
        assert await answer.json() == [{"id": "b", "values": [0, 2]}]
    async with wire.post("/deleteByIds", json={"ids": ["b"]}) as answer:
        assert (await answer.json()).keys() == {"mutationId"}


@pytest.mark.parametrize(
    ("path", "body", "code", "said"),
    [
        ("/insert", '{"id":"a","values":[1]}', 40012, "expected 2 dimensions"),
        ("/insert", "", 40023, "no vector"),
        ("/insert", "{", 40023, "line 1"),
        ("/upsert", '{"id":"a","values":[1,0]}\n{"id":"b"}', 40023, "line 2"),
        ("/upsert", '{"id":"a","values":["1",0]}', 40023, "line 1"),
        ("/upsert", '{"id":"a","values":[1,0],"metadata":{"x":"\\ud835"}}', 40023, "line 1"),
        ("/upsert", b'{"id":"\xff","values":[1,0]}', 40023, "line 1"),
        ("/upsert", '{"id":"a","values":' + "[" * 9999, 40023, "line 1"),
        ("/insert", '{"id":"a","values":[1,0]}\n' * 1001, 40007, "max vector count is 1000"),
        ("/query", "[]", 40026, "parse"),
        ("/query", "{}", 40026, "one of vector and vectorId"),
        ("/query", '{"vector":[1,0],"vectorId":"a"}', 40026, "one of vector"),
        ("/query", '{"vector":[1,0],"topK":1.5}', 40026, "whole"),
        ("/query", '{"vector":[1,0],"topK":1e300}', 40026, "topK"),
        ("/query", '{"vector":[1,0],"returnMetadata":"some"}', 40026, "some"),
        ("/query", '{"vector":[1,0],"filter":{"x":1}}', 40006, "metadata index"),
        ("/query", '{"vector":[[1,0]]}', 40026, "parse"),
        ("/getByIds", '{"ids":"a"}', 40026, "parse"),
        ("/other", "{}", 10404, "/other"),
    ],
)
async def test_errors_are_code_and_error(
    wire: aiohttp.ClientSession, path: str, body: str | bytes, code: int, said: str
) -> None:
    async with wire.post(path, data=body) as answer:
        assert answer.status in (400, 404)
        told = await answer.json()
    assert told["code"] == code
    assert said in told["error"]
    async with wire.get("/info") as answer:
        assert (await answer.json())["vectorCount"] == 0


async def test_an_index_that_is_not_there(stores: Stores, tmp_path: Path) -> None:
    faces = {"I": VectorizeFace(stores.vectorize("acc"), "late")}
    async with bound(faces, tmp_path) as session:
        async with session("I").get("/info") as answer:
            assert answer.status == 404
            assert (await answer.json())["code"] == 3000
        await stores.vectorize("acc").create("late", IndexConfig(dimensions=1, metric="cosine"))
        async with session("I").get("/info") as answer:
            assert answer.status == 200


@pytest.mark.filterwarnings("ignore:Passing raw bytes as `body`")  # the SDK warns of itself
async def test_sdk(client: cloudflare.AsyncCloudflare) -> None:
    indexes = client.vectorize.indexes
    made: Any = await indexes.create(
        account_id="acc", name="i", description="d", config={"dimensions": 2, "metric": "euclidean"}
    )
    assert (made.name, made.config.metric, made.description) == ("i", "euclidean", "d")
    preset: Any = await indexes.create(
        account_id="acc", name="p", config={"preset": "@cf/baai/bge-base-en-v1.5"}
    )
    assert preset.config.dimensions == 768
    assert [each.name async for each in indexes.list(account_id="acc")] == ["i", "p"]
    at: dict[str, Any] = {"account_id": "acc", "index_name": "i"}
    await indexes.metadata_index.create(**at, property_name="s", index_type="string")
    listed: Any = await indexes.metadata_index.list(**at)
    assert [(each.property_name, each.index_type) for each in listed.metadata_indexes] == [
        ("s", "string")
    ]
    lines = b'{"id":"a","values":[1,0],"metadata":{"s":"x"}}\n{"id":"b","values":[0,1]}\n'
    inserted: Any = await indexes.insert(**at, body=lines)
    info: Any = await indexes.info(**at)
    assert (info.vector_count, info.processed_up_to_mutation) == (2, inserted.mutation_id)
    await indexes.upsert(
        **at, body=b'{"id":"b","values":[3,4]}\noops', unparsable_behavior="discard"
    )
    with pytest.raises(cloudflare.BadRequestError) as caught:
        await indexes.upsert(**at, body=b"oops", unparsable_behavior="error")
    assert caught.value.errors[0].code == 40023
    got: Any = await indexes.query(**at, vector=[0, 0], return_values=True, top_k=1)
    assert [(each.id, each.score, each.values) for each in got.matches] == [("a", 1.0, [1.0, 0.0])]
    got = await indexes.query(**at, vector=[0, 0], filter={"s": {"$ne": "x"}})
    assert [(each.id, each.score) for each in got.matches] == [("b", 5.0)]
    found: Any = await indexes.get_by_ids(**at, ids=["a", "none"])
    assert [each["id"] for each in found] == ["a"]
    page: Any = await indexes.list_vectors(**at, count=1)
    assert (page.total_count, page.is_truncated, page.vectors[0].id) == (2, True, "a")
    page = await indexes.list_vectors(**at, cursor=page.next_cursor)
    assert (page.is_truncated, page.vectors[0].id) == (False, "b")
    await indexes.delete_by_ids(**at, ids=["a"])
    await indexes.metadata_index.delete(**at, property_name="s")
    assert (await indexes.get(**at)).name == "i"  # type: ignore[union-attr]
    await indexes.delete(**at)
    with pytest.raises(cloudflare.NotFoundError):
        await indexes.get(**at)


async def test_the_bodies_that_clients_send(
    client: cloudflare.AsyncCloudflare, stores: Stores
) -> None:
    """Wrangler sends a multipart file; the SDK a JSON text, bytes or NDJSON labelled as JSON."""
    await stores.vectorize("acc").create("i", IndexConfig(dimensions=2, metric="cosine"))
    base = f"{client.base_url}accounts/acc/vectorize/v2/indexes/i"
    line = '{"id":"%s","values":[1,0]}\n'
    form = aiohttp.FormData()
    form.add_field("vectors", (line % "a").encode(), filename="v.ndjson")
    async with aiohttp.ClientSession() as http:
        for data, label in (
            (form, None),
            ((line % "b").encode(), "application/json"),
            ((line % "c").encode(), "application/x-ndjson"),
            (b'{"vectors":[{"id":"d","values":[1,0]}]}', "application/json"),
        ):
            headers = {} if label is None else {"Content-Type": label}
            async with http.post(f"{base}/upsert", data=data, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
        empty = aiohttp.FormData()
        empty.add_field("other", b"x", filename="x")
        async with http.post(f"{base}/upsert", data=empty) as answer:
            assert answer.status == 400
        async with http.post(
            f"{base}/upsert", data=b"--x", headers={"Content-Type": "multipart/form-data"}
        ) as answer:
            assert answer.status == 400
    await client.vectorize.indexes.upsert("i", account_id="acc", body=line % "e")  # type: ignore[arg-type]
    index = await stores.vectorize("acc").open("i")
    assert (await index.list()).ids == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"name":"x","config":{}}',
        '{"name":"x","config":{"dimensions":3,"metric":"other"}}',
        '{"name":"x","config":{"dimensions":3.5,"metric":"cosine"}}',
        '{"name":"x","config":{"preset":"other"}}',
        '{"name":"../x","config":{"dimensions":3,"metric":"cosine"}}',
        "[",
    ],
)
async def test_indexes_that_cannot_be(stores: Stores, body: str) -> None:
    async with rest(stores) as url, aiohttp.ClientSession() as http:
        async with http.post(f"{url}/accounts/acc/vectorize/v2/indexes", data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["success"] is False
        async with http.post(f"{url}/accounts/..%2f/vectorize/v2/indexes", data=body) as answer:
            assert answer.status in (400, 404)
