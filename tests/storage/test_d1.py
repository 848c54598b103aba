"""D1 through workerd's wire protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import apsw
import pytest

from skerry.api.bindings.d1 import TOKEN, D1Face
from skerry.storage.d1 import limits
from skerry.storage.d1.base import D1Error, D1Statement
from skerry.storage.d1.embedded import SCHEMA, Connections, EmbeddedD1
from skerry.storage.failures import StorageFull
from skerry.storage.open import Stores
from skerry.storage.sqlite import Database

from .faces import Now, bound

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b)"


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
async def d1(stores: Stores, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with bound({"DB": D1Face(stores.d1("local", "db", "notes"))}, tmp_path) as session:
        yield session("DB")


async def ask(d1: aiohttp.ClientSession, *statements: Any, form: str = "ROWS_AND_COLUMNS") -> Any:
    """What the wire answers to statements: texts, or (text, *parameters)."""
    body = [
        {"sql": each} if isinstance(each, str) else {"sql": each[0], "params": list(each[1:])}
        for each in statements
    ]
    path = "/execute" if form == "NONE" else "/query"
    async with d1.post(
        path, params={"resultsFormat": form}, json=body if len(body) > 1 else body[0]
    ) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        return await answer.json()


async def rows(d1: aiohttp.ClientSession, sql: str, *params: Any) -> list[list[Any]]:
    (result,) = await ask(d1, (sql, *params))
    found: list[list[Any]] = result["results"]["rows"]
    return found


async def error(d1: aiohttp.ClientSession, *statements: Any) -> str:
    answer = await ask(d1, *statements)
    assert answer["success"] is False, answer
    return str(answer["error"])


async def test_both_forms(d1: aiohttp.ClientSession) -> None:
    (made,) = await ask(d1, TABLE, form="NONE")
    assert made["success"] is True
    assert made["results"] == []
    insert = ("INSERT INTO t (a, b) VALUES (?, ?)", "x", 1.5)
    (put,) = await ask(d1, insert, form="NONE")
    meta = put["meta"]
    assert meta.keys() == {
        "served_by",
        "duration",
        "changes",
        "last_row_id",
        "changed_db",
        "size_after",
        "rows_read",
        "rows_written",
    }
    assert (meta["changes"], meta["last_row_id"], meta["changed_db"]) == (1, 1, True)
    assert (meta["rows_read"], meta["rows_written"]) == (0, 2)  # the row, and its index
    assert meta["size_after"] > 0
    (got,) = await ask(d1, "SELECT * FROM t")
    assert got["results"] == {"columns": ["id", "a", "b"], "rows": [[1, "x", 1.5]]}
    assert got["meta"]["changed_db"] is False
    (got,) = await ask(d1, "SELECT * FROM t", form="NONE")
    assert got["results"] == [{"id": 1, "a": "x", "b": 1.5}]
    (got,) = await ask(d1, "SELECT a, b FROM t WHERE id = 99")
    assert got["results"] == {"columns": ["a", "b"], "rows": []}


@pytest.mark.parametrize(
    ("given", "stored", "kind"),
    [
        (None, None, "null"),
        (True, 1, "integer"),
        (False, 0, "integer"),
        (7, 7, "integer"),
        (-(2**53), -(2**53), "integer"),
        (2**53 + 1, 2**53, "integer"),  # as JavaScript gets it
        (2**63 - 1, 2**63, "integer"),
        (2**64, 2**64, "real"),
        (0.1, 0.1, "real"),
        ("", "", "text"),
        ("Zoë 🧀\x00.", "Zoë 🧀\x00.", "text"),
        ([], [], "blob"),
        ([0, 255, 1], [0, 255, 1], "blob"),
    ],
)
async def test_values(d1: aiohttp.ClientSession, given: Any, stored: Any, kind: str) -> None:
    assert await rows(d1, "SELECT ?1, typeof(?1)", given) == [[stored, kind]]


@pytest.mark.parametrize("bad", [{"a": 1}, [256], [-1], ["x"], [1.5], [[1]]])
async def test_values_that_d1_has_no_type_for(d1: aiohttp.ClientSession, bad: Any) -> None:
    assert (await error(d1, ("SELECT ?", bad))).startswith("D1_TYPE_ERROR")


async def test_numbers_without_json(d1: aiohttp.ClientSession) -> None:
    assert await rows(d1, "SELECT 1e999, -1e999, 1e999 - 1e999") == [[None, None, None]]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR"),
        ("SELECT nope FROM t", "no such column: nope at offset 7: SQLITE_ERROR"),
        ("SELEC 1", 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'),
        (
            "INSERT INTO t (a) VALUES ('x')",
            "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)",
        ),
        ("SELECT ?", limits.WRONG_COUNT),
        ("", "No SQL statements detected."),
        (" -- nothing\n /* at all */ ;", "No SQL statements detected."),
        ("BEGIN", limits.TRANSACTION),
        ("/* x */ COMMIT", limits.TRANSACTION),
        ("SAVEPOINT w", limits.TRANSACTION),
        ("ROLLBACK TO w", limits.TRANSACTION),
        ("BEGIN IMMEDIATE", limits.TRANSACTION),
        ("ATTACH '/tmp/x' AS y", "not authorized: SQLITE_AUTH"),
        ("DETACH main", "not authorized: SQLITE_AUTH"),
        ("PRAGMA journal_mode=DELETE", "not authorized: SQLITE_AUTH"),
        ("PRAGMA user_version=9", "not authorized: SQLITE_AUTH"),
        ("PRAGMA writable_schema=ON", "not authorized: SQLITE_AUTH"),
        ("SELECT load_extension('x')", "not authorized: SQLITE_ERROR"),
        (
            "SELECT sqlite_version()",
            "not authorized to use function: sqlite_version at offset 7: SQLITE_ERROR",
        ),
        ("SELECT * FROM _cf_METADATA", "access to _cf_METADATA.key is prohibited: SQLITE_AUTH"),
        ("DROP TABLE _cf_METADATA", "not authorized: SQLITE_AUTH"),
        ("CREATE TABLE _cf_x (y)", "not authorized: SQLITE_AUTH"),
        ("ALTER TABLE t RENAME TO _cf_y", "not authorized: SQLITE_AUTH"),
        ("CREATE TEMP TABLE x (y)", "not authorized: SQLITE_AUTH"),
        ("CREATE VIRTUAL TABLE x USING rtree(a, b, c)", "not authorized: SQLITE_AUTH"),
        ("VACUUM", "cannot VACUUM from within a transaction: SQLITE_ERROR"),
        ("VACUUM INTO '/tmp/x'", "cannot VACUUM from within a transaction: SQLITE_ERROR"),
        ("SELECT zeroblob(2000001)", "string or blob too big: SQLITE_TOOBIG"),
        ("SELECT '" + "x" * 100_000 + "'", "string or blob too big: SQLITE_TOOBIG"),
        ("SELECT 1 WHERE 'a' LIKE '" + "%a" * 30 + "'", "LIKE or GLOB pattern too complex"),
        ("SELECT CAST(x'ff' AS TEXT)", "a text of the result is not UTF-8"),
    ],
)
async def test_errors(d1: aiohttp.ClientSession, sql: str, words: str) -> None:
    await ask(d1, TABLE, ("INSERT INTO t (a) VALUES (?)", "x"))
    assert (await error(d1, sql)).startswith(words)
    assert await rows(d1, "SELECT a FROM t") == [["x"]]  # it goes on as if nothing had been


async def test_a_hundred_parameters_and_one_more(d1: aiohttp.ClientSession) -> None:
    many = ",".join("?" * 100)
    assert await rows(d1, f"SELECT {many}", *range(100)) == [list(range(100))]
    words = await error(d1, (f"SELECT {many},?", *range(101)))
    assert words.startswith("too many SQL variables at offset")


async def test_what_d1_documents_may_be_asked(d1: aiohttp.ClientSession) -> None:
    await ask(d1, TABLE)
    for sql in (
        "PRAGMA table_list",
        "PRAGMA table_info(t)",
        "PRAGMA table_xinfo('t')",
        "PRAGMA index_list(t)",
        "PRAGMA index_info(sqlite_autoindex_t_1)",
        "PRAGMA foreign_key_list(t)",
        "PRAGMA foreign_key_check",
        "PRAGMA quick_check",
        "PRAGMA optimize",
        "PRAGMA case_sensitive_like=ON",
        "PRAGMA defer_foreign_keys=1",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "EXPLAIN SELECT * FROM t",
        "SELECT json_extract('{\"a\": 1}', '$.a'), json('[1]') -> 0",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "INSERT INTO f VALUES ('some words')",
        "SELECT highlight(f, 0, '<', '>'), bm25(f) FROM f WHERE f MATCH 'words'",
        "DROP TABLE f",
        "ALTER TABLE t ADD COLUMN c",
        "ALTER TABLE t RENAME COLUMN c TO d",
        "ALTER TABLE t DROP COLUMN d",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE INDEX i ON t (b)",
        "ANALYZE",
        "REINDEX",
        "WITH x AS (SELECT 'w') INSERT INTO t (a) SELECT * FROM x RETURNING a",
    ):
        answer = await ask(d1, sql)
        assert isinstance(answer, list), (sql, answer)


async def test_a_pragma_ends_with_its_request(d1: aiohttp.ClientSession) -> None:
    like = "SELECT 'A' LIKE 'a'"
    both = await ask(d1, "PRAGMA case_sensitive_like=ON", like)
    assert both[1]["results"]["rows"] == [[0]]
    for _ in range(4):  # whichever reader answers
        assert await rows(d1, like) == [[1]]


async def test_a_batch_is_one_transaction(d1: aiohttp.ClientSession) -> None:
    await ask(d1, TABLE)
    insert = "INSERT INTO t (a) VALUES (?)"
    answers = await ask(d1, (insert, "1"), (insert, "2"), "SELECT count(*) FROM t")
    assert [each["meta"]["changes"] for each in answers] == [1, 1, 0]
    assert answers[2]["results"]["rows"] == [[2]]
    assert "UNIQUE" in await error(d1, (insert, "3"), (insert, "1"))
    assert await rows(d1, "SELECT a FROM t ORDER BY id") == [["1"], ["2"]]


async def test_several_statements_in_one_text(d1: aiohttp.ClientSession) -> None:
    sql = f"{TABLE}; INSERT INTO t (a) VALUES ('a;b'); -- ;\n SELECT a, ?1 FROM t;"
    assert await rows(d1, sql, 5) == [["a;b", 5]]
    assert await error(d1, ("INSERT INTO t (a) VALUES (?); SELECT 1", "x")) == limits.WRONG_COUNT


async def test_a_deferred_key_fails_its_own_request_only(stores: Stores) -> None:
    """Writes of several requests share a commit, where SQLite would look at deferred keys."""
    database = stores.d1("local", "db")
    await database.script(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);"
        "CREATE TABLE d (p REFERENCES p (id))"
    )
    outcomes = await asyncio.gather(
        database.script("INSERT INTO p VALUES (1)"),
        database.script("INSERT INTO c VALUES (9)"),
        database.script("PRAGMA defer_foreign_keys=ON; INSERT INTO d VALUES (9)"),
        database.script("INSERT INTO c VALUES (5); INSERT INTO p VALUES (5)"),
        database.script("PRAGMA defer_foreign_keys=ON; INSERT INTO d VALUES (6); SELECT nope"),
        database.script("INSERT INTO d VALUES (7)"),
        return_exceptions=True,
    )
    failed = [isinstance(each, D1Error) for each in outcomes]
    assert failed == [False, True, True, False, True, True]
    assert str(outcomes[1]) == limits.FOREIGN_KEY
    assert "SQLITE_CONSTRAINT_FOREIGNKEY" in str(outcomes[5])
    answer = await database.script("SELECT (SELECT count(*) FROM c), (SELECT count(*) FROM d)")
    assert answer.results[0].rows == [[1, 0]]


async def test_readers_know_a_column_as_soon_as_it_is_there(d1: aiohttp.ClientSession) -> None:
    await ask(d1, TABLE, form="NONE")
    await ask(d1, ("INSERT INTO t (a) VALUES (?)", "x"))
    columns = ["id", "a", "b"]
    for name in ("c", "d", "e"):
        await ask(d1, f"ALTER TABLE t ADD COLUMN {name}", form="NONE")
        columns.append(name)
        for _ in range(4):  # each of the readers
            one, none = await ask(d1, "SELECT * FROM t", ("SELECT * FROM t WHERE a = ?", "y"))
            assert one["results"]["columns"] == none["results"]["columns"] == columns
            assert one["results"]["rows"] == [[1, "x", *[None] * (len(columns) - 2)]]


async def test_sessions_see_their_own_writes(d1: aiohttp.ClientSession) -> None:
    body = {"sql": TABLE}
    async with d1.post("/query", json=body, headers={TOKEN: "first-unconstrained"}) as answer:
        first = answer.headers[TOKEN]
    body = {"sql": "INSERT INTO t (a) VALUES ('x')"}
    async with d1.post("/query", json=body, headers={TOKEN: first}) as answer:
        second = answer.headers[TOKEN]
    assert second > first  # bookmarks order as texts
    body = {"sql": "SELECT a FROM t"}
    async with d1.post("/query", json=body, headers={TOKEN: second}) as answer:
        assert answer.headers[TOKEN] == second
        assert (await answer.json())[0]["results"] == [{"a": "x"}]
    body = {"sql": "INSERT INTO nope VALUES (1)"}
    async with d1.post("/query", json=body) as answer:
        assert TOKEN not in answer.headers


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"1", b'{"sql": 1}', b'{"params": []}', b"\xff", b"[" * 100_000]
)
async def test_hostile_bodies(d1: aiohttp.ClientSession, junk: bytes) -> None:
    async with d1.post("/query", data=junk) as answer:
        assert answer.status == 200
        assert (await answer.json())["success"] is False
    async with d1.get("/query") as answer:
        assert (await answer.json())["success"] is False


FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {} FROM c"


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[EmbeddedD1]:
    """A database whose statements may take 0.3 s."""
    connections = Connections(None, seconds=0.3)
    file = Database(tmp_path / "x.sqlite", SCHEMA, setup=connections.setup)

    async def opened() -> tuple[Database, Connections]:
        return file, connections

    yield EmbeddedD1("x", opened)
    await file.close()


async def test_a_statement_that_takes_too_long_is_cut_off(hasty: EmbeddedD1) -> None:
    with pytest.raises(D1Error, match="exceeded its CPU time limit"):
        await hasty.script(FOREVER.format("count(*)"))
    await hasty.script("CREATE TABLE t (x)")
    with pytest.raises(D1Error, match="exceeded its CPU time limit"):
        await hasty.script(f"INSERT INTO t {FOREVER.format('x')}")
    assert (await hasty.script("SELECT count(*) FROM t")).results[0].rows == [[0]]


async def test_a_result_that_is_too_large_is_cut_off(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESULT", 1 << 20)
    with pytest.raises(D1Error, match="exceeded its memory limit"):
        await stores.d1("local", "db").script(FOREVER.format("x, 'some text'"))


async def test_reads_run_beside_a_writer(stores: Stores) -> None:
    database = stores.d1("local", "db")
    await database.script("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    slow = f"INSERT INTO t {FOREVER.format('x')} LIMIT 400000"
    writing = asyncio.ensure_future(database.script(slow))
    seen = []
    while not writing.done():
        seen += (await database.script("SELECT count(*) FROM t")).results[0].rows
    await writing
    assert seen.count([1]) > 1
    assert all(each in ([1], [400_001]) for each in seen)
    assert (await database.script("SELECT count(*) FROM t")).results[0].rows == [[400_001]]


async def test_a_full_disk_is_an_error_and_no_more(stores: Stores) -> None:
    database = stores.d1("local", "db")
    await database.script("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    (path,) = [each for each in stores._databases if each.parent.name == "files"]
    file = stores._databases[path]

    def bound_pages(connection: apsw.Connection) -> None:
        connection.authorizer = None
        connection.execute("PRAGMA max_page_count=100").fetchall()

    await file.write(bound_pages)
    with pytest.raises(StorageFull):
        await database.script("INSERT INTO t VALUES (zeroblob(1000000))")
    await database.script("INSERT INTO t VALUES (2)")
    answer = await database.query(
        [D1Statement("SELECT x FROM t"), D1Statement("PRAGMA quick_check")]
    )
    assert [each.rows for each in answer.results] == [[[1], [2]], [["ok"]]]


@pytest.mark.parametrize("database", ["..", "", "a/b", "é", "x" * 200])
def test_an_id_leads_nowhere_else(stores: Stores, database: str) -> None:
    with pytest.raises(Exception, match="cannot name a store"):
        stores.d1("local", database)
