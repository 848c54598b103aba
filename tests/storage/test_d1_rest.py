"""D1 over REST, with Cloudflare's own SDK."""

from __future__ import annotations

import hashlib
from typing import Any

import aiohttp
import cloudflare
import pytest
from cloudflare import AsyncCloudflare

A = "acc"


@pytest.fixture
async def database(cf: AsyncCloudflare) -> str:
    made = await cf.d1.database.create(account_id=A, name="notes")
    assert made.uuid
    return made.uuid


def code(error: pytest.ExceptionInfo[cloudflare.APIStatusError]) -> int:
    return int(error.value.response.json()["errors"][0]["code"])


async def query(cf: AsyncCloudflare, database: str, sql: str, *params: str) -> list[Any]:
    page = await cf.d1.database.query(database, account_id=A, sql=sql, params=list(params))
    return list(page.result)


async def test_databases(cf: AsyncCloudflare, database: str) -> None:
    await cf.d1.database.create(account_id=A, name="other")
    names = [each.name async for each in cf.d1.database.list(account_id=A, per_page=1)]
    assert names == ["notes", "other"]
    names = [each.name async for each in cf.d1.database.list(account_id=A, name="oth")]
    assert names == ["other"]
    with pytest.raises(cloudflare.BadRequestError) as taken:
        await cf.d1.database.create(account_id=A, name="notes")
    assert code(taken) == 7502
    await query(cf, database, "CREATE TABLE t (x); CREATE TABLE u (x)")
    found = await cf.d1.database.get(database, account_id=A)
    assert (found.name, found.num_tables, found.version) == ("notes", 2, "production")
    assert found.file_size
    assert found.created_at
    await cf.d1.database.delete(database, account_id=A)
    with pytest.raises(cloudflare.NotFoundError) as gone:
        await query(cf, database, "SELECT 1")
    assert code(gone) == 7404
    again = await cf.d1.database.create(account_id=A, name="notes")
    assert again.uuid
    (result,) = await query(
        cf, again.uuid, "SELECT count(*) AS n FROM sqlite_master WHERE name = 't'"
    )
    assert result.results == [{"n": 0}]


async def test_query_and_raw(cf: AsyncCloudflare, database: str) -> None:
    sql = "CREATE TABLE t (a, b); INSERT INTO t VALUES ('x', 1), ('y', 2); SELECT a, b FROM t;"
    made, put, got = await query(cf, database, sql)
    assert made.success is True
    assert put.meta.changes == 2
    assert got.results == [{"a": "x", "b": 1}, {"a": "y", "b": 2}]
    assert (got.meta.rows_read, got.meta.rows_written) == (2, 0)
    (got,) = await query(cf, database, "SELECT b FROM t WHERE a = ?", "y")
    assert got.results == [{"b": 2}]
    raw = await cf.d1.database.raw(database, account_id=A, sql="SELECT a, b FROM t")
    assert raw.result[0].results
    assert raw.result[0].results.columns == ["a", "b"]
    assert raw.result[0].results.rows == [["x", 1], ["y", 2]]
    batch: Any = [
        {"sql": "INSERT INTO t VALUES (?, ?)", "params": ["z", "3"]},
        {"sql": "SELECT count(*) AS n FROM t"},
    ]
    page = await cf.d1.database.query(database, account_id=A, batch=batch)
    assert page.result[1].results == [{"n": 3}]


async def test_a_text_of_several_statements_is_all_or_nothing(
    cf: AsyncCloudflare, database: str
) -> None:
    with pytest.raises(cloudflare.BadRequestError) as failed:
        await query(cf, database, "CREATE TABLE t (a); INSERT INTO t VALUES (1); INSERT INTO u")
    assert code(failed) == 7500
    assert "incomplete input: SQLITE_ERROR" in str(failed.value)
    with pytest.raises(cloudflare.BadRequestError, match="no such table: t: SQLITE_ERROR"):
        await query(cf, database, "SELECT * FROM t")


async def test_import_and_export(
    cf: AsyncCloudflare, database: str, http: aiohttp.ClientSession
) -> None:
    sql = (
        "CREATE TABLE p (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT, b BLOB, r REAL,"
        " g GENERATED ALWAYS AS (t || '!'));\n"
        "CREATE TABLE c (p INT REFERENCES p (id));\n"
        "CREATE INDEX i ON p (t); CREATE VIEW v AS SELECT t FROM p;\n"
        "CREATE TRIGGER tg AFTER DELETE ON p BEGIN DELETE FROM c WHERE p = old.id; SELECT 1; END;\n"
        "INSERT INTO p (t, b, r) VALUES ('it''s; 🧀', x'00ff', 0.1), (NULL, NULL, 9e999);\n"
        "INSERT INTO c VALUES (1);"
    )
    etag = hashlib.md5(sql.encode()).hexdigest()
    begun = await cf.d1.database.import_(database, account_id=A, action="init", etag=etag)
    assert begun.upload_url
    assert begun.filename
    async with http.put(begun.upload_url, data=sql.encode()) as answer:
        assert answer.status == 200
        assert answer.headers["ETag"] == f'"{etag}"'
    done = await cf.d1.database.import_(
        database, account_id=A, action="ingest", etag=etag, filename=begun.filename
    )
    assert (done.success, done.status) == (True, "complete")
    assert done.result
    assert done.result.num_queries == 7
    assert done.result.final_bookmark
    assert done.result.meta
    assert done.result.meta.changes == 3
    poll = await cf.d1.database.import_(
        database, account_id=A, action="poll", current_bookmark=done.result.final_bookmark
    )
    assert poll.success is False

    async def exported(where: str) -> str:
        made = await cf.d1.database.export(where, account_id=A, output_format="polling")
        assert made.status == "complete"
        assert made.result
        assert made.result.signed_url
        async with http.get(made.result.signed_url) as answer:
            assert answer.status == 200
            return await answer.text()

    dump = await exported(database)
    copy = await cf.d1.database.create(account_id=A, name="copy")
    assert copy.uuid
    await query(cf, copy.uuid, dump)
    assert await exported(copy.uuid) == dump
    (got,) = await query(cf, copy.uuid, "SELECT *, typeof(b) FROM p ORDER BY id")
    assert got.results[0]["t"] == "it's; 🧀"
    assert got.results[0]["b"] == [0, 255]
    assert got.results[0]["g"] == "it's; 🧀!"


async def test_an_import_that_fails_leaves_nothing(
    cf: AsyncCloudflare, database: str, http: aiohttp.ClientSession
) -> None:
    sql = b"CREATE TABLE t (a); INSERT INTO t VALUES (1); SELECT nope;"
    etag = hashlib.md5(sql).hexdigest()
    begun = await cf.d1.database.import_(database, account_id=A, action="init", etag=etag)
    assert begun.upload_url
    assert begun.filename
    last: Any = {"account_id": A, "action": "ingest", "etag": etag, "filename": begun.filename}
    with pytest.raises(cloudflare.BadRequestError, match="was not uploaded"):
        await cf.d1.database.import_(database, **last)
    async with http.put(begun.upload_url, data=b"something else") as answer:
        assert answer.status == 200
    with pytest.raises(cloudflare.BadRequestError, match="another MD5"):
        await cf.d1.database.import_(database, **last)
    async with http.put(begun.upload_url, data=sql) as answer:
        assert answer.status == 200
    done = await cf.d1.database.import_(database, **last)
    assert (done.success, done.status) == (False, "error")
    assert done.error == "no such column: nope at offset 7: SQLITE_ERROR"
    with pytest.raises(cloudflare.BadRequestError, match="no such table: t"):
        await query(cf, database, "SELECT * FROM t")


async def test_hostile_requests(
    cf: AsyncCloudflare, base: str, database: str, http: aiohttp.ClientSession
) -> None:
    one = f"{base}/accounts/{A}/d1/database/{database}"

    async def refused(method: str, url: str, status: int, **more: Any) -> None:
        async with http.request(method, url, **more) as answer:
            body = await answer.json()
            assert (answer.status, body["success"]) == (status, False), body

    for junk in (b"", b"{", b"[]", b'{"sql": 1}', b'{"params": [1]}', b"\xff", b"[" * 100_000):
        await refused("POST", f"{one}/query", 400, data=junk)
        await refused("POST", f"{one}/raw", 400, data=junk)
    for name in ("", " ", "../x", "a" * 64, "é", "a\n"):
        await refused("POST", f"{base}/accounts/{A}/d1/database", 400, json={"name": name})
    for body in ({"action": "init", "etag": "x"}, {"action": "y", "etag": "0" * 32}, {}):
        await refused("POST", f"{one}/import", 400, json=body)
    for file in ("..%2f..%2fdatabases.sqlite", "x.sql", f"{database}.%2e%2e%2fx.sql"):
        await refused("PUT", f"{one}/import/{file}", 404, data=b"x")
        await refused("GET", f"{one}/export/{file}", 404)
    await refused("GET", f"{one}/export/{database}.none.sql", 404)
    await refused("POST", f"{one}/export", 400, json={"output_format": "file"})
    await refused("POST", f"{one}/export", 400, json={"dump_options": {"tables": ["nope"]}})
    await refused(
        "POST", f"{base}/accounts/{A}/d1/database/..%2f..%2fx/query", 404, json={"sql": "SELECT 1"}
    )
