"""KV over REST, with Cloudflare's own SDK."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import cloudflare
import pytest
from cloudflare import AsyncCloudflare

A = "acc"


def code(error: pytest.ExceptionInfo[cloudflare.APIStatusError]) -> int:
    return int(error.value.response.json()["errors"][0]["code"])


async def test_namespaces(cf: AsyncCloudflare) -> None:
    made = await cf.kv.namespaces.create(account_id=A, title="one")
    assert made is not None
    assert made.title == "one"
    assert made.supports_url_encoding is True
    await cf.kv.namespaces.create(account_id=A, title="two")
    titles = [each.title async for each in cf.kv.namespaces.list(account_id=A, per_page=1)]
    assert titles == ["one", "two"]
    back = [
        each.title
        async for each in cf.kv.namespaces.list(account_id=A, order="title", direction="desc")
    ]
    assert back == ["two", "one"]
    with pytest.raises(cloudflare.BadRequestError) as taken:
        await cf.kv.namespaces.create(account_id=A, title="two")
    assert code(taken) == 10014
    await cf.kv.namespaces.update(made.id, account_id=A, title="uno")
    assert (await cf.kv.namespaces.get(made.id, account_id=A)).title == "uno"  # type: ignore[union-attr]
    await cf.kv.namespaces.delete(made.id, account_id=A)
    for missing in (made.id, "nope"):
        with pytest.raises(cloudflare.NotFoundError) as gone:
            await cf.kv.namespaces.get(missing, account_id=A)
        assert code(gone) == 10013


@pytest.mark.parametrize("key", ["k", "a/b", "a b?x=1", "käse 🧀", "100%", "a%2Fb"])
async def test_values(cf: AsyncCloudflare, key: str) -> None:
    made = await cf.kv.namespaces.create(account_id=A, title="one")
    assert made is not None
    values = cf.kv.namespaces.values
    where: dict[str, Any] = {"account_id": A, "namespace_id": made.id}
    await values.update(
        key, **where, value=b"hello", metadata=json.dumps({"m": "é"}), expiration_ttl=100
    )
    answer = await values.get(key, **where)
    assert await answer.read() == b"hello"
    assert answer.headers["expiration"] == "1800000100"
    assert await cf.kv.namespaces.metadata.get(key, **where) == {"m": "é"}
    (listed,) = [each async for each in cf.kv.namespaces.keys.list(made.id, account_id=A)]
    assert (listed.name, listed.expiration, listed.metadata) == (key, 1_800_000_100, {"m": "é"})
    await values.delete(key, **where)
    with pytest.raises(cloudflare.NotFoundError) as gone:
        await values.get(key, **where)
    assert code(gone) == 10009
    with pytest.raises(cloudflare.NotFoundError) as gone:
        await cf.kv.namespaces.metadata.get(key, **where)
    assert code(gone) == 10009


async def test_bulk_and_pages_of_keys(cf: AsyncCloudflare) -> None:
    made = await cf.kv.namespaces.create(account_id=A, title="one")
    assert made is not None
    pairs: list[Any] = [{"key": f"k{number:04}", "value": str(number)} for number in range(1200)]
    pairs[0] |= {"value": "AP8=", "base64": True}
    pairs[1] |= {"metadata": {"a": 1}, "expiration_ttl": 60}
    done = await cf.kv.namespaces.bulk_update(made.id, account_id=A, body=pairs)
    assert done is not None
    assert done.successful_key_count == 1200
    names = [each.name async for each in cf.kv.namespaces.keys.list(made.id, account_id=A)]
    assert names == [each["key"] for each in pairs]
    first = await cf.kv.namespaces.keys.list(made.id, account_id=A, prefix="k11", limit=10)
    assert [each.name for each in first.result] == [f"k{number}" for number in range(1100, 1110)]
    got = await cf.kv.namespaces.bulk_get(made.id, account_id=A, keys=["k0002", "none"])
    assert got is not None
    assert got.values == {"k0002": "2", "none": None}
    got = await cf.kv.namespaces.bulk_get(
        made.id, account_id=A, keys=["k0001"], type="json", with_metadata=True
    )
    assert got is not None
    assert json.loads(json.dumps(got.to_dict()["values"])) == {
        "k0001": {"value": 1, "metadata": {"a": 1}, "expiration": 1_800_000_060}
    }
    assert (
        await (
            await cf.kv.namespaces.values.get("k0000", account_id=A, namespace_id=made.id)
        ).read()
        == b"\x00\xff"
    )
    gone = await cf.kv.namespaces.bulk_delete(made.id, account_id=A, body=names[:1199])
    assert gone is not None
    left = [each.name async for each in cf.kv.namespaces.keys.list(made.id, account_id=A)]
    assert left == ["k1199"]


async def test_hostile_requests(
    cf: AsyncCloudflare, base: str, http: aiohttp.ClientSession
) -> None:
    made = await cf.kv.namespaces.create(account_id=A, title="one")
    assert made is not None
    all_of_them = f"{base}/accounts/{A}/storage/kv/namespaces"
    one = f"{all_of_them}/{made.id}"

    async def refused(method: str, url: str, status: int, **more: Any) -> str:
        async with http.request(method, url, **more) as answer:
            body = await answer.json()
            assert (answer.status, body["success"]) == (status, False), body
            return str(body["errors"][0]["message"])

    for junk in (b"", b"{", b"[]", b'{"title": 1}', b'{"title": "  "}', b"\xff", b"[" * 100_000):
        await refused("POST", all_of_them, 400, data=junk)
        await refused("PUT", one, 400, data=junk)
    for junk in (b"{", b"{}x", b'["a", 1]', b"1"):
        await refused("PUT", f"{one}/bulk", 400, data=junk)
        await refused("POST", f"{one}/bulk/delete", 400, data=junk)
        await refused("POST", f"{one}/bulk/get", 400, data=junk)
    too_many = [{"key": str(number), "value": ""} for number in range(10_001)]
    assert "at most 10000" in await refused("PUT", f"{one}/bulk", 400, json=too_many)
    bad = [{"key": "a", "value": "1"}, {"key": "b", "value": "1", "expiration_ttl": 5}]
    assert "at least 60" in await refused("PUT", f"{one}/bulk", 400, json=bad)
    bad = [{"key": "a", "value": "not base64!", "base64": True}]
    assert "not base64" in await refused("PUT", f"{one}/bulk", 400, json=bad)
    await refused("GET", f"{one}/keys?limit=1001", 400)
    await refused("GET", f"{one}/keys?cursor=!", 400)
    await refused("GET", f"{all_of_them}?page=0", 400)
    await refused("GET", f"{all_of_them}?per_page=x", 400)
    await refused("PUT", f"{one}/values/{'a' * 513}", 414, data=b"v")
    await refused("PUT", f"{one}/values/", 400, data=b"v")
    await refused("PUT", f"{one}/values/a?expiration_ttl=1", 400, data=b"v")
    form = aiohttp.FormData()
    form.add_field("metadata", "{}", filename="m")
    assert "`value`" in await refused("PUT", f"{one}/values/a", 400, data=form)
    form = aiohttp.FormData()
    form.add_field("value", "v", filename="v")
    form.add_field("other", "v", filename="v")
    await refused("PUT", f"{one}/values/a", 400, data=form)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    await refused("PUT", f"{one}/values/a", 400, data=b"no parts at all", headers=broken)
    no_boundary = {"Content-Type": "multipart/form-data"}
    await refused("PUT", f"{one}/values/a", 400, data=b"no parts at all", headers=no_boundary)
    await refused("GET", f"{base}/accounts/%2e%2e%2f/storage/kv/namespaces", 400)
    foreign = {"Origin": "https://evil.example"}
    await refused("GET", all_of_them, 403, headers=foreign)
    assert [each async for each in cf.kv.namespaces.keys.list(made.id, account_id=A)] == []
