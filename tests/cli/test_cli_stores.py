"""skerry kv and skerry d1, on a data directory of their own and on a running node."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skerry.cli.app import run
from skerry.storage.open import Stores

from ..storage.faces import rest


@pytest.fixture(params=["files", "node"])
def where(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run the test twice: on files, and with $SKERRY_URL of a node."""
    monkeypatch.chdir(tmp_path)
    if request.param == "files":
        monkeypatch.setenv("SKERRY_DATA_DIR", str(tmp_path / "data"))
        yield
        return
    ready, ended = threading.Event(), asyncio.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        stores = Stores(tmp_path / "data")
        async with rest(stores) as url:
            urls.append(url.removesuffix("/client/v4"))
            ready.set()
            await ended.wait()
        await stores.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    monkeypatch.setenv("SKERRY_URL", urls[0])
    monkeypatch.setenv("SKERRY_DATA_DIR", str(tmp_path / "not used"))
    yield
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()
    assert not (tmp_path / "not used").exists()


def asked(capfd: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--json"]) == 0, capfd.readouterr().err
    return json.loads(capfd.readouterr().out)


@pytest.mark.usefixtures("where")
def test_kv(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = asked(capfd, "kv", "namespace", "create", "cache")
    assert asked(capfd, "kv", "namespace", "list") == [made]
    on = ("-n", "cache")
    put = ("kv", "key", "put", "a/b c", "hello", *on, "--ttl", "90", "--metadata", '{"m": 1}')
    assert asked(capfd, *put) == {"key": "a/b c", "bytes": 5}
    got = asked(capfd, "kv", "key", "get", "a/b c", *on)
    assert base64.b64decode(got["value"]) == b"hello"
    assert got["metadata"] == {"m": 1}
    assert got["expiration"] > 1_700_000_000
    assert run(["kv", "key", "get", "a/b c", *on]) == 0
    assert capfd.readouterr().out == "hello"
    (tmp_path / "value").write_bytes(b"\x00\xff")
    asked(capfd, "kv", "key", "put", "raw", "--path", str(tmp_path / "value"), *on)
    assert base64.b64decode(asked(capfd, "kv", "key", "get", "raw", *on)["value"]) == b"\x00\xff"
    pairs = [{"key": "x", "value": "1"}, {"key": "y", "value": "2", "metadata": [1]}]
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    assert asked(capfd, "kv", "bulk", "put", "pairs.json", *on) == {"put": 2}
    listed = asked(capfd, "kv", "key", "list", *on)
    assert [each["name"] for each in listed] == ["a/b c", "raw", "x", "y"]
    assert listed[3]["metadata"] == [1]
    assert asked(capfd, "kv", "bulk", "get", "pairs.json", *on) == {"x": "1", "y": "2"}
    assert asked(capfd, "kv", "bulk", "delete", "pairs.json", *on) == {"deleted": 2}
    asked(capfd, "kv", "key", "delete", "raw", *on)
    assert [each["name"] for each in asked(capfd, "kv", "key", "list", *on)] == ["a/b c"]
    assert asked(capfd, "kv", "namespace", "delete", made["id"]) == {"deleted": made["id"]}


@pytest.mark.usefixtures("where")
def test_d1(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = asked(capfd, "d1", "create", "notes")
    assert [each["name"] for each in asked(capfd, "d1", "list")] == ["notes"]
    first = Path(asked(capfd, "d1", "migrations", "create", "notes", "Make notes!")["file"])
    assert first == Path("migrations/0001_make_notes.sql")
    first.write_text("CREATE TABLE note (t TEXT); INSERT INTO note VALUES ('it''s') -- the first")
    second = Path(asked(capfd, "d1", "migrations", "create", "notes", "tags")["file"])
    second.write_text("ALTER TABLE note ADD COLUMN tag; INSERT INTO nope VALUES (1);")
    pending = [first.name, second.name]
    assert asked(capfd, "d1", "migrations", "list", "notes") == {"pending": pending}
    assert run(["d1", "migrations", "apply", "notes"]) == 1
    assert f"{second}: no such table: nope: SQLITE_ERROR" in capfd.readouterr().err
    assert asked(capfd, "d1", "migrations", "list", "notes") == {"pending": [second.name]}
    second.write_text("ALTER TABLE note ADD COLUMN tag;")
    assert asked(capfd, "d1", "migrations", "apply", "notes") == {"applied": [second.name]}
    assert asked(capfd, "d1", "migrations", "apply", "notes") == {"applied": []}
    (got,) = asked(capfd, "d1", "execute", made["uuid"], "-c", "SELECT * FROM note")
    assert got["results"] == [{"t": "it's", "tag": None}]
    (tmp_path / "more.sql").write_text("INSERT INTO note VALUES ('a', 'b');\n" * 3)
    done = asked(capfd, "d1", "execute", "notes", "-f", "more.sql")
    assert (done["num_queries"], done["meta"]["changes"]) == (3, 3)
    asked(capfd, "d1", "export", "notes", "-o", "notes.sql", "--table", "note")
    assert (tmp_path / "notes.sql").read_text().count("INSERT INTO") == 4
    asked(capfd, "d1", "delete", "notes")
    assert asked(capfd, "d1", "list") == []


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("name", ["DB", "shop", "made-up-id"])
def test_d1_of_the_project_of_this_folder(
    name: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "index.ts").touch()
    (tmp_path / "wrangler.jsonc").write_text(
        """{"name": "shop", "main": "index.ts", "compatibility_date": "2026-01-01",
            "d1_databases": [{"binding": "DB", "database_name": "shop",
              "database_id": "made-up-id", "migrations_dir": "sql", "migrations_table": "done"}]}"""
    )
    file = asked(capfd, "d1", "migrations", "create", name, "first")["file"]
    assert file == "sql/0001_first.sql"
    (tmp_path / file).write_text("CREATE TABLE flat (id TEXT);")
    # Nothing has used it so far; its worker will find what is made here.
    assert asked(capfd, "d1", "migrations", "apply", name) == {"applied": ["0001_first.sql"]}
    assert asked(capfd, "d1", "migrations", "list", name) == {"pending": []}
    (got,) = asked(capfd, "d1", "execute", "made-up-id", "-c", "SELECT name FROM done")
    assert got["results"] == [{"name": "0001_first.sql"}]
    assert [each["name"] for each in asked(capfd, "d1", "list")] == ["shop"]


@pytest.mark.usefixtures("where")
def test_kv_of_the_project_of_this_folder(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "index.ts").touch()
    (tmp_path / "wrangler.jsonc").write_text(
        """{"name": "shop", "main": "index.ts", "compatibility_date": "2026-01-01",
            "kv_namespaces": [{"binding": "CACHE"}]}"""
    )
    # Nothing has used it so far; its worker will find what is put here.
    asked(capfd, "kv", "key", "put", "a", "b", "--binding", "CACHE")
    assert asked(capfd, "kv", "key", "list", "--namespace-id", "shop-cache")[0]["name"] == "a"
    assert [each["id"] for each in asked(capfd, "kv", "namespace", "list")] == ["shop-cache"]


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kv", "key", "get", "k", "-n", "nope"], "no namespace nope"),
        (["d1", "execute", "nope", "-c", "SELECT 1"], "no database nope"),
        (["d1", "execute", "nope"], "give --command or --file"),
        (["d1", "create", "../x"], "name: 1 to 63 letters"),
        (["kv", "bulk", "put", "broken.json", "-n", "x"], "not JSON"),
        (["d1", "migrations", "apply", "nope"], "no database nope"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text("{")
    assert run(words) == 1
    assert message in capfd.readouterr().err


def test_a_node_that_is_not_there(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["d1", "list", "--url", "http://127.0.0.1:9"]) == 1
    assert "http://127.0.0.1:9" in capfd.readouterr().err
