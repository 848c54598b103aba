"""`skerry r2` on a data directory, in this process."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.cli.app import run

Call = Callable[..., Any]


@pytest.fixture
def call(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Call:
    """`call("bucket", "list")`: the command's JSON; a text where it failed; bytes if `plain`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKERRY_CONFIG", raising=False)

    def made(*words: str, stdin: bytes = b"", plain: bool = False) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        more = ["--data-dir", str(tmp_path / "data"), *([] if plain else ["--json"])]
        code = run(["r2", *words, *more])
        told = capfdbinary.readouterr()
        if code:
            return told.err.decode()
        return told.out if plain else json.loads(told.out)

    return made


def test_buckets(call: Call) -> None:
    assert b"No buckets yet" in call("bucket", "list", plain=True)
    assert call("bucket", "create", "photos")["name"] == "photos"
    assert "already exists" in call("bucket", "create", "photos")
    assert "not valid" in call("bucket", "create", "../up")
    assert [each["name"] for each in call("bucket", "list")] == ["photos"]
    assert b"photos" in call("bucket", "list", plain=True)
    assert call("bucket", "list", "--account", "other") == []
    assert call("bucket", "delete", "photos") == {"deleted": "photos"}
    assert "does not exist" in call("bucket", "delete", "photos")


def test_objects(call: Call, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "sea.jpg").write_bytes(data)
    assert "does not exist" in call("object", "put", "photos/sea.jpg", "--file", "sea.jpg")
    call("bucket", "create", "photos")
    made = call("object", "put", "photos/a/sea.jpg", "--file", "sea.jpg")
    assert (made["size"], made["etag"]) == (len(data), hashlib.md5(data).hexdigest())
    assert made["http"] == {"content_type": "image/jpeg"}
    encoded = ("--content-encoding", "gzip", "--content-type", "text/plain")
    call("object", "put", "photos/in", *encoded, stdin=b"\x1f\x8b raw")
    assert call("object", "get", "photos/in", plain=True) == b"\x1f\x8b raw"
    assert call("object", "get", "photos/in")["http"]["content_encoding"] == "gzip"
    call("object", "get", "photos/a/sea.jpg", "--file", "back.jpg")
    assert (tmp_path / "back.jpg").read_bytes() == data
    found = call("object", "list", "photos", "--delimiter", "/")
    assert [each["key"] for each in found["objects"]] == ["in"]
    assert found["delimited_prefixes"] == ["a/"]
    assert b"image/jpeg" in call("object", "list", "photos", "--prefix", "a/", plain=True)
    assert "not empty" in call("bucket", "delete", "photos")
    assert "BUCKET/KEY" in call("object", "get", "photos")
    assert call("object", "delete", "photos/in") == {"deleted": "photos/in"}
    assert "key does not exist" in call("object", "delete", "photos/in")


def test_a_get_that_fails_leaves_the_file_alone(call: Call, tmp_path: Path) -> None:
    call("bucket", "create", "photos")
    (tmp_path / "kept").write_bytes(b"kept")
    assert "key does not exist" in call("object", "get", "photos/none", "--file", "kept")
    assert "No such file" in call("object", "put", "photos/k", "--file", "none")
    assert (tmp_path / "kept").read_bytes() == b"kept"
    assert call("object", "list", "photos")["objects"] == []
