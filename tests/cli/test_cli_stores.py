"""`skerry queues` and `skerry vectorize` on a data directory, in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.cli.app import run

Call = Callable[..., Any]


@pytest.fixture
def call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Call:
    """`call("queues", "list")`: the command's JSON; a text where it failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKERRY_CONFIG", raising=False)

    def made(*words: str, stdin: bytes = b"", plain: bool = False) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = run([*words, "--data-dir", str(tmp_path / "data"), *([] if plain else ["--json"])])
        told = capfd.readouterr()
        if code:
            return told.err
        return told.out if plain else json.loads(told.out)

    return made


def test_queues(call: Call) -> None:
    assert "No queues yet" in call("queues", "list", plain=True)
    assert call("queues", "create", "jobs", "--delay", "0")["name"] == "jobs"
    assert "already taken" in call("queues", "create", "jobs")
    assert call("queues", "send", "jobs", "hello")["metrics"]["backlog_count"] == 1
    call("queues", "send", "jobs", '{"a": 1}', "--type", "json")
    call("queues", "send", "jobs", "-", "--type", "bytes", stdin=b"\xff\x00")
    call("queues", "send", "jobs", "later", "--delay", "600")
    [row] = call("queues", "list")
    assert (row["queue"]["name"], row["metrics"]["backlog_count"]) == ("jobs", 4)
    assert "jobs" in call("queues", "list", plain=True)
    got = call("queues", "pull", "jobs", "--count", "2", "--ack")
    assert [(each["type"], each["body"]) for each in got] == [
        ("text", "hello"),
        ("json", '{"a": 1}'),
    ]
    [raw] = call("queues", "pull", "jobs", "--seconds", "1")
    assert raw["base64"] == "/wA="
    assert call("queues", "pull", "jobs") == []
    assert "No message is ready" in call("queues", "pull", "jobs", plain=True)
    assert call("queues", "list")[0]["metrics"]["backlog_count"] == 2
    assert call("queues", "list", "--account", "other") == []
    assert call("queues", "delete", "jobs") == {"deleted": "jobs"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["queues", "send", "none", "x"], "'none' does not exist"),
        (["queues", "pull", "none"], "'none' does not exist"),
        (["queues", "delete", "none"], "'none' does not exist"),
        (["queues", "create", "a/b"], "no queue name"),
        (["queues", "create", "x", "--retention", "1"], "message_retention_period"),
        (["queues", "send", "none", "{", "--type", "json"], "not json"),
        (["queues", "send", "none", "x", "--type", "v8"], "--type v8"),
        (["queues", "list", "--account", "../x"], "cannot name a store"),
        (["vectorize", "get", "none"], "skerry vectorize create none"),
        (["vectorize", "create", "x", "--dimensions", "0"], "dimensions: 0"),
        (["vectorize", "create", "x", "--dimensions", "3", "--metric", "l1"], "--metric l1"),
        (["vectorize", "query", "x"], "one of --vector and --id"),
        (["vectorize", "query", "x", "--vector", "[1,"], "--vector"),
        (["vectorize", "query", "x", "--vector", "[1]", "--filter", "[]"], "--filter"),
        (["vectorize", "insert", "x", "--file", "missing.ndjson"], "missing.ndjson"),
    ],
)
def test_an_error_is_one_line_with_the_way_out(call: Call, words: list[str], said: str) -> None:
    told = call(*words)
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert said in told


def test_vectorize(call: Call, tmp_path: Path) -> None:
    assert "No indexes yet" in call("vectorize", "list", plain=True)
    made = call("vectorize", "create", "notes", "--dimensions", "2", "--description", "d")
    assert made["config"] == {"dimensions": 2, "metric": "cosine"}
    assert call("vectorize", "list") == [made]
    call("vectorize", "create-metadata-index", "notes", "--property-name", "y", "--type", "number")
    file = tmp_path / "v.ndjson"
    file.write_text('{"id":"a","values":[1,0],"metadata":{"y":1}}\n{"id":"b","values":[0,1]}\n')
    assert call("vectorize", "insert", "notes", "--file", str(file))["vectors"] == 2
    replaced = b'{"id":"b","values":[1,1],"namespace":"n"}'
    assert call("vectorize", "insert", "notes", "--file", "-", "--upsert", stdin=replaced)
    shown = call("vectorize", "get", "notes")
    assert (shown["state"]["vector_count"], shown["metadata_indexes"]) == (2, {"y": "number"})
    assert "2 vectors of 2 dimensions" in call("vectorize", "get", "notes", plain=True)
    found = call("vectorize", "query", "notes", "--vector", "[1, 0]")
    assert [(each["id"], round(each["score"], 3)) for each in found] == [("a", 1.0), ("b", 0.707)]
    found = call("vectorize", "query", "notes", "--id", "b", "--filter", '{"y": {"$lt": 2}}')
    assert [(each["id"], each["metadata"]) for each in found] == [("a", {"y": 1})]
    assert call("vectorize", "query", "notes", "--id", "a", "--namespace", "n")[0]["id"] == "b"
    told = call("vectorize", "query", "notes", "--id", "a", "--filter", '{"z": 1}')
    assert "skerry vectorize create-metadata-index" in told
    assert "0.7071" in call("vectorize", "query", "notes", "--id", "a", plain=True)
    assert call("vectorize", "delete", "notes") == {"deleted": "notes"}
    assert call("vectorize", "list") == []
