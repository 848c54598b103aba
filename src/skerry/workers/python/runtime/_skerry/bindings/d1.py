"""`env.DB`: a D1 database."""

from __future__ import annotations

import json
from typing import Any

from _skerry.client import Client
from _skerry.values import Array, Result, dumps, result

SESSION = "x-cf-d1-session-commit-token"
PRIMARY, UNCONSTRAINED = "first-primary", "first-unconstrained"


class D1Error(Exception):
    """What D1 raises: "D1_ERROR: no such table: x: SQLITE_ERROR"."""


class D1Session:
    """prepare, batch, getBookmark: reads that see their own writes."""

    def __init__(self, client: Client, name: str, bookmark: str | None = None) -> None:
        self._client = client
        self._name = name
        self._bookmark = bookmark

    def prepare(self, sql: str) -> D1Statement:
        return D1Statement(self, sql)

    async def batch(self, statements: Any) -> Array:
        """All statements in one transaction; their results in order."""
        found = await self.send("/query", [each.told() for each in statements], rows=True)
        return Array(_answer(each) for each in found)

    def getBookmark(self) -> str | None:
        return self._bookmark

    get_bookmark = getBookmark

    async def send(self, path: str, body: Any, *, rows: bool) -> list[Any]:
        """What the database answers to one or several statements. Raises D1Error."""
        form = "ROWS_AND_COLUMNS" if rows else "NONE"
        headers = [("content-type", "application/json")]
        if self._bookmark:
            headers.append((SESSION, self._bookmark))
        reply = await self._client.request(
            self._name, "POST", f"{path}?resultsFormat={form}", headers, dumps(body).encode(),
            host="d1",
        )  # fmt: skip
        data = await reply.read()
        try:
            found = json.loads(data)
        except ValueError:
            said = data[:500].decode(errors="replace")
            raise D1Error(f"D1_ERROR: Failed to parse body as JSON, got: {said}") from None
        answers = found if isinstance(found, list) else [found]
        for each in answers:
            if not each.get("success"):
                raise D1Error(f"D1_ERROR: {each.get('error') or f'status {reply.status}'}")
        if self._bookmark is not None:
            self._bookmark = reply.header(SESSION) or self._bookmark
        return answers


class D1Database(D1Session):
    """A database of the account."""

    async def exec(self, sql: str) -> Result:
        """Run statements, one a line, without parameters: {count, duration}."""
        lines = [line for line in sql.strip().split("\n") if line.strip()]
        body = [{"sql": line, "params": []} for line in lines]
        try:
            found = await self.send("/execute", body if len(body) > 1 else body[0], rows=False)
        except D1Error as error:
            said = str(error).removeprefix("D1_ERROR: ")
            raise D1Error(f"D1_EXEC_ERROR: {said}") from None
        spent = sum(each.get("meta", {}).get("duration", 0) for each in found)
        return Result(count=len(found), duration=spent)

    def withSession(self, constraint: str | None = None) -> D1Session:
        """constraint: first-primary, first-unconstrained, or a bookmark."""
        return D1Session(self._client, self._name, constraint or UNCONSTRAINED)

    with_session = withSession

    async def dump(self) -> bytes:
        raise D1Error("D1_ERROR: dump() was withdrawn by Cloudflare: export the database instead")


class D1Statement:
    """A statement with its parameters."""

    def __init__(self, session: D1Session, sql: str, params: tuple[Any, ...] = ()) -> None:
        self._session = session
        self._sql = sql
        self._params = params

    def bind(self, *values: Any) -> D1Statement:
        """The statement with these for its ?, ?1, … Raises D1Error for a type it cannot hold."""
        return D1Statement(self._session, self._sql, tuple(_bound(value) for value in values))

    def told(self) -> dict[str, Any]:
        return {"sql": self._sql, "params": list(self._params)}

    async def first(self, column: str | None = None) -> Any:
        """The first row, or its value of `column`; None where there is no row."""
        rows = (await self.all()).results
        if not rows:
            return None
        if column is None:
            return rows[0]
        if column not in rows[0]:
            raise D1Error(f"D1_COLUMN_NOTFOUND: Column not found ({column})")
        return rows[0][column]

    async def all(self) -> Result:
        """{success, meta, results}: rows are dicts with attribute access."""
        (found,) = await self._session.send("/query", self.told(), rows=True)
        return _answer(found)

    async def run(self) -> Result:
        """As all(); rows only where the statement returns some."""
        (found,) = await self._session.send("/query", self.told(), rows=True)
        return _answer(found)

    async def raw(self, raw_options: Any = None, *, columnNames: bool = False, **_: Any) -> Array:
        """The rows as lists; columnNames=True: the names first."""
        (found,) = await self._session.send("/query", self.told(), rows=True)
        table = found.get("results") or {"columns": [], "rows": []}
        named = columnNames or bool((raw_options or {}).get("columnNames"))
        return Array(result(([table["columns"]] if named else []) + table["rows"]))


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, str | float) or type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return list(bytes(value))
    if isinstance(value, list) and all(type(each) is int and 0 <= each < 256 for each in value):
        return value
    item = getattr(value, "item", None)  # numpy's scalars
    if callable(item) and getattr(value, "shape", None) == ():
        return _bound(item())
    shown = repr(value)[:100]
    raise D1Error(f"D1_TYPE_ERROR: Type '{type(value).__name__}' not supported for value '{shown}'")


def _answer(found: dict[str, Any]) -> Result:
    table = found.get("results") or {"columns": [], "rows": []}
    if isinstance(table, dict):
        names = table["columns"]
        rows = Array(result(dict(zip(names, row, strict=True))) for row in table["rows"])
    else:
        rows = result(table)
    return Result(success=True, meta=result(found.get("meta") or {}), results=rows)
