"""KV through workerd's wire protocol, and against a model."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from yarl import URL

from skerry.api.bindings.kv import KvFace, ascii_json
from skerry.errors import StorageError
from skerry.storage.kv.base import KvError, KvNamespace, KvWrite
from skerry.storage.kv.embedded import SCHEMA
from skerry.storage.open import Stores

from .faces import Now, bound


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def stores(tmp_path: Path, now: Now) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=now)
    yield made
    await made.close()


@pytest.fixture
async def kv(stores: Stores, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with bound({"KV": KvFace(stores.kv("local", "ns"))}, tmp_path) as session:
        yield session("KV")


def at(key: str, more: str = "") -> URL:
    return URL(f"http://binding/{quote(key, safe='')}?urlencoded=true{more}", encoded=True)


async def put(
    kv: aiohttp.ClientSession, key: str, value: bytes = b"v", more: str = "", metadata: str = ""
) -> tuple[int, str | None]:
    headers = {"CF-KV-Metadata": metadata} if metadata else {}
    async with kv.put(at(key, more), data=io.BytesIO(value), headers=headers) as answer:
        return answer.status, answer.reason


async def get(kv: aiohttp.ClientSession, key: str) -> bytes | None:
    async with kv.get(at(key)) as answer:
        if answer.status == 404:
            return None
        assert answer.status == 200
        return await answer.read()


async def listed(kv: aiohttp.ClientSession, **query: str) -> Any:
    async with kv.get("/", params=query) as answer:
        assert answer.status == 200, answer.reason
        assert answer.headers["Content-Type"].startswith("application/json")
        return await answer.json()


async def test_put_get_delete(kv: aiohttp.ClientSession) -> None:
    assert await get(kv, "k") is None
    assert await put(kv, "k", b"\x00\xff binary") == (200, "OK")
    assert await get(kv, "k") == b"\x00\xff binary"
    assert await put(kv, "k", b"") == (200, "OK")
    assert await get(kv, "k") == b""
    async with kv.delete(at("k")) as answer:
        assert answer.status == 200
    assert await get(kv, "k") is None
    async with kv.delete(at("k")) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "key",
    ["a/b", "a b", "?x=1", "a%2Fb", "käse 🧀", "..a", "\n", "\x00", "a" * 512, "ü" * 256, "#"],
)
async def test_any_key_comes_back_as_itself(kv: aiohttp.ClientSession, key: str) -> None:
    assert await put(kv, key, key.encode()) == (200, "OK")
    assert await get(kv, key) == key.encode()
    assert [each["name"] for each in (await listed(kv))["keys"]] == [key]


async def test_metadata_and_expiration(kv: aiohttp.ClientSession, now: Now) -> None:
    metadata = json.dumps({"who": "Zoë 🧀", "n": 1}, ensure_ascii=False)
    assert await put(kv, "k", b"v", "&expiration_ttl=60", metadata) == (200, "OK")
    async with kv.get(at("k", "&cache_ttl=60")) as answer:
        assert json.loads(answer.headers["CF-KV-Metadata"]) == json.loads(metadata)
        assert answer.headers["CF-Expiration"] == str(int(now.seconds) + 60)
    (key,) = (await listed(kv))["keys"]
    assert key["expiration"] == int(now.seconds) + 60
    assert json.loads(key["metadata"]) == json.loads(metadata)
    now.seconds += 59
    assert await get(kv, "k") == b"v"
    now.seconds += 1
    assert await get(kv, "k") is None
    assert (await listed(kv))["keys"] == []
    assert await put(kv, "k", b"again") == (200, "OK")  # no expiration any more
    now.seconds += 10_000
    assert await get(kv, "k") == b"again"


async def test_the_sweep_deletes_what_has_expired(
    kv: aiohttp.ClientSession, stores: Stores, now: Now
) -> None:
    for number in range(3):
        await put(kv, str(number), b"v", "&expiration_ttl=100")
    await put(kv, "stays")
    assert await stores.sweep() == 0
    now.seconds += 101
    assert await stores.sweep() == 3
    assert [each["name"] for each in (await listed(kv))["keys"]] == ["stays"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            "&expiration_ttl=59",
            "Invalid expiration_ttl of 59. Expiration TTL must be at least 60.",
        ),
        (
            "&expiration_ttl=0",
            "Invalid expiration_ttl of 0. Please specify integer greater than 0.",
        ),
        (
            "&expiration_ttl=soon",
            "Invalid expiration_ttl of soon. Please specify integer greater than 0.",
        ),
        (
            "&expiration=1800000059",
            (
                "Invalid expiration of 1800000059. "
                "Expiration times must be at least 60 seconds in the future."
            ),
        ),
        (
            "&expiration=5",
            (
                "Invalid expiration of 5. Please specify integer greater than the current number"
                " of seconds since the UNIX epoch."
            ),
        ),
        (
            "&expiration=99999999999999999999",
            (
                "Invalid expiration of 99999999999999999999. Please specify integer greater than"
                " the current number of seconds since the UNIX epoch."
            ),
        ),
    ],
)
async def test_expirations_that_are_refused(
    kv: aiohttp.ClientSession, more: str, reason: str
) -> None:
    assert await put(kv, "k", b"v", more) == (400, reason)
    assert await get(kv, "k") is None


async def test_the_other_limits(kv: aiohttp.ClientSession) -> None:
    long = "UTF-8 encoded length of 513 exceeds key length limit of 512."
    assert await put(kv, "a" * 513) == (414, long)
    async with kv.get(at("a" * 513)) as answer:
        assert (answer.status, answer.reason) == (414, long)
    async with kv.get("/", params={"prefix": "a" * 513}) as answer:
        assert (answer.status, answer.reason) == (414, long)
    async with kv.put("/", data=b"v") as answer:
        assert (answer.status, answer.reason) == (400, "Key names must not be empty")
    assert await put(kv, "k", b"v", metadata=json.dumps("m" * 1023)) == (
        413,
        "Metadata length of 1025 exceeds limit of 1024.",
    )
    assert await put(kv, "k", b"v", metadata=json.dumps("m" * 1022)) == (200, "OK")
    status, reason = await put(kv, "k", b"v", metadata="{")
    assert status == 400
    assert reason
    assert reason.startswith("Metadata is not valid JSON")
    for limit, words in {
        "0": "Invalid key_count_limit of 0. Please specify an integer greater than 0.",
        "1001": "Invalid key_count_limit of 1001. Please specify an integer less than 1000.",
        "x": "Invalid key_count_limit of x. Please specify an integer greater than 0.",
    }.items():
        async with kv.get("/", params={"key_count_limit": limit}) as answer:
            assert (answer.status, answer.reason) == (400, words)
    async with kv.get("/", params={"cursor": "!"}) as answer:
        assert (answer.status, answer.reason) == (400, "Invalid cursor")
    async with kv.get(at("k", "&cache_ttl=29")) as answer:
        assert (answer.status, answer.reason) == (
            400,
            "Invalid cache_ttl of 29. Cache TTL must be at least 30.",
        )
    async with kv.get(URL("http://binding/%ff?urlencoded=true", encoded=True)) as answer:
        assert (answer.status, answer.reason) == (400, "Could not URL-decode key name")
    async with kv.patch(at("k")) as answer:
        assert answer.status == 405


async def test_a_value_of_25_mib_and_one_byte_more(kv: aiohttp.ClientSession) -> None:
    largest = bytes(25 << 20)
    assert await put(kv, "k", largest) == (200, "OK")
    assert await get(kv, "k") == largest
    assert await put(kv, "k", largest + b"x") == (
        413,
        "Value length of 26214401 exceeds limit of 26214400.",
    )

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(26):
            yield bytes(1 << 20)

    async with kv.put(at("k"), data=pieces()) as answer:
        assert answer.status == 413
        assert answer.reason
        assert "exceeds limit of 26214400." in answer.reason
    assert await get(kv, "k") == largest


async def test_bulk_get(kv: aiohttp.ClientSession) -> None:
    await put(kv, "a", b'{"x": 1}', metadata='{"m": 2}')
    await put(kv, "b", b"text")
    async with kv.post("/bulk/get", json={"keys": ["a", "b", "c"]}) as answer:
        assert await answer.json() == {"a": '{"x": 1}', "b": "text", "c": None}
    asked = {"keys": ["a", "c"], "type": "json", "withMetadata": True, "cacheTtl": "60"}
    async with kv.post("/bulk/get", json=asked) as answer:
        assert await answer.json() == {"a": {"value": {"x": 1}, "metadata": {"m": 2}}, "c": None}
    for body, status, reason in [
        (
            {"keys": ["b"], "type": "json"},
            400,
            "At least one of the requested keys corresponds to a non-json value",
        ),
        ({"keys": ["b"], "type": "x"}, 400, '"x" is not a valid type. Use "json" or "text"'),
        ({"keys": []}, 400, "You must request a minimum of 1 key"),
        ({"keys": ["k"] * 101}, 400, "You can request a maximum of 100 keys"),
    ]:
        async with kv.post("/bulk/get", json=body) as answer:
            assert (answer.status, answer.reason) == (status, reason)
    for junk in [b"", b"{", b"[]", b'{"keys": 1}', b"\xff", b"[" * 100_000]:
        async with kv.post("/bulk/get", data=junk) as answer:
            assert answer.status == 400
            assert answer.reason
            assert answer.reason.startswith("Invalid request")
    for name in ("x", "y"):
        await put(kv, name, bytes(20 << 20))
    async with kv.post("/bulk/get", json={"keys": ["x", "y"]}) as answer:
        assert (answer.status, answer.reason) == (
            413,
            "Total size of request exceeds the limit of 25MB",
        )


async def test_list_is_in_the_order_of_bytes_and_by_page(kv: aiohttp.ClientSession) -> None:
    names = ["", "B", "a", "a/", "a/1", "a/2", "b", "é", "🧀", "\uffff"][1:]
    await asyncio.gather(*(put(kv, name) for name in names))
    ordered = sorted(names, key=str.encode)
    assert [each["name"] for each in (await listed(kv))["keys"]] == ordered
    got: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await listed(kv, key_count_limit="2", **cursor)
        got += [each["name"] for each in page["keys"]]
        if page["list_complete"]:
            assert "cursor" not in page
            break
        cursor = {"cursor": page["cursor"]}
    assert got == ordered
    page = await listed(kv, prefix="a/")
    assert [each["name"] for each in page["keys"]] == ["a/", "a/1", "a/2"]
    page = await listed(kv, prefix="\U0010ffff")
    assert page == {"keys": [], "list_complete": True, "cacheStatus": None}


@pytest.mark.parametrize("text", ['"é"', '"🧀"', '{"ключ": ["\\u00e9", "\ud7ff"]}'])
def test_json_for_a_header_is_ascii_and_the_same(text: str) -> None:
    assert ascii_json(text).isascii()
    assert json.loads(ascii_json(text)) == json.loads(text)


async def test_puts_of_one_call_are_all_or_none(stores: Stores) -> None:
    namespace = stores.kv("local", "ns")
    with pytest.raises(KvError):
        await namespace.put_many([KvWrite("a", b"1"), KvWrite("", b"2")])
    assert await namespace.get("a") is None


async def test_namespaces_do_not_see_each_other(stores: Stores) -> None:
    one, other, elsewhere = stores.kv("a", "x"), stores.kv("a", "y"), stores.kv("b", "x")
    await one.put("k", b"1")
    assert await other.get("k") is None
    assert await elsewhere.get("k") is None
    assert [each.id for each in await stores.kv_namespaces("a").list()] == ["x"]


@pytest.mark.parametrize("account", ["..", "", "a/b", ".", "a\0", "é", "x" * 200])
def test_an_account_leads_nowhere_else(stores: Stores, account: str) -> None:
    with pytest.raises(StorageError, match="cannot name a store"):
        stores.kv(account, "x")


KEYS = st.text(min_size=1, max_size=4).filter(lambda key: key not in (".", ".."))


class AgainstADict(RuleBasedStateMachine):
    """Whatever is done, KV holds what a dict would."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.now = Now()
        self.model: dict[str, tuple[bytes, str | None, int | None]] = {}
        self.stores = Stores(Path(self.folder.name), clock=self.now)

    @property
    def kv(self) -> KvNamespace:
        return self.stores.kv("local", "ns")

    def live(self) -> dict[str, tuple[bytes, str | None, int | None]]:
        return {
            key: entry
            for key, entry in self.model.items()
            if entry[2] is None or entry[2] > self.now.seconds
        }

    @rule(
        key=KEYS,
        value=st.binary(max_size=20),
        metadata=st.none() | st.integers().map(str),
        ttl=st.none() | st.integers(60, 200),
    )
    def put(self, key: str, value: bytes, metadata: str | None, ttl: int | None) -> None:
        self.runner.run(self.kv.put(key, value, metadata=metadata, expiration_ttl=ttl))
        at = None if ttl is None else int(self.now.seconds) + ttl
        self.model[key] = (value, metadata, at)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.runner.run(self.kv.delete(key))
        self.model.pop(key, None)

    @rule(seconds=st.integers(1, 150))
    def wait(self, seconds: int) -> None:
        self.now.seconds += seconds

    @rule()
    def sweep(self) -> None:
        self.runner.run(self.stores.sweep())

    @rule()
    def restart(self) -> None:
        self.runner.run(self.stores.close())
        self.stores = Stores(Path(self.folder.name), clock=self.now)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        entry = self.runner.run(self.kv.get(key))
        found = None if entry is None else (entry.value, entry.metadata, entry.expiration)
        assert found == self.live().get(key)

    @rule(prefix=st.text(max_size=2), limit=st.integers(1, 3))
    def list_all(self, prefix: str, limit: int) -> None:
        got: list[str] = []
        cursor = ""
        while True:
            page = self.runner.run(self.kv.list(prefix, limit, cursor))
            got += [key.name for key in page.keys]
            cursor = page.cursor
            if not cursor:
                break
        wanted = (key for key in self.live() if key.startswith(prefix))
        assert got == sorted(wanted, key=str.encode)

    def teardown(self) -> None:
        self.runner.run(self.stores.close())
        self.runner.close()
        self.folder.cleanup()


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


async def test_a_read_waits_for_the_write_of_its_key_that_came_first(stores: Stores) -> None:
    namespace = stores.kv("local", "ns")
    database = stores.database(stores.folder("local", "kv") / "kv.sqlite", SCHEMA)
    free = threading.Event()
    busy = asyncio.create_task(database.write(lambda connection: free.wait(20)))
    put = asyncio.create_task(namespace.put("a", b"new"))
    await asyncio.sleep(0)

    # As the worker's next request does, through a face of its own.
    reads = [asyncio.create_task(stores.kv("local", "ns").get("a")) for _ in range(2)]
    many = asyncio.create_task(namespace.get_many(["a", "b"]))
    page = asyncio.create_task(namespace.list())
    await stores.kv("local", "another").list()
    assert await namespace.get("b") is None  # other keys do not wait
    assert not put.done()
    reads.pop().cancel()  # nor does one that leaves take the others with it
    free.set()

    entry = await reads[0]
    assert entry is not None
    assert entry.value == b"new"
    assert (await many)["a"] == entry
    assert [each.name for each in (await page).keys] == ["a"]
    await asyncio.gather(put, busy)
    gone = asyncio.create_task(namespace.delete("a"))
    await asyncio.sleep(0)
    assert await namespace.get("a") is None
    await gone
