"""`skerry dev` as a newcomer meets it: a process, its words, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

GOOD = 'export default { fetch() { return new Response("hello"); } };'
BROKEN = "export default { fetch() { return new Response( } };"

Dev = Callable[..., "Running"]


class Running:
    """A `skerry dev --json` under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def tell(self, key: str) -> Any:
        """The next document on its standard output that has this key."""
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                document = json.loads(text)
            except ValueError:
                continue
            text = ""
            if key in document:
                return document
        pytest.fail(f"it ended before it said {key}: {text}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def dev(tmp_path: Path, toolbox: Path) -> Iterator[Dev]:
    """`dev(path, …)`: starts it, with the tools of this user and data of its own."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SKERRY_")}
    started: list[Running] = []

    def start(path: Path, *words: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-c", "from skerry.cli import main; main()", "dev", str(path), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=kept | {"SKERRY_TOOLS": str(toolbox), "SKERRY_DATA_DIR": str(tmp_path / "data")},
        )
        started.append(Running(process))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop()


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "no wrangler.json, wrangler.jsonc, wrangler.toml here"),
        ("nope.ts", "nope.ts: no such folder or file"),
        ("notes.txt", "not a worker"),
    ],
)
def test_where_there_is_no_project_it_says_so_and_ends(
    dev: Dev, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").touch()
    process = dev(tmp_path / "here" / name, "--port", "0").process
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert not out
    assert words in errors


def test_what_is_broken_is_shown_until_it_is_mended(dev: Dev, tmp_path: Path) -> None:
    file = tmp_path / "index.ts"
    file.write_text(BROKEN)
    running = dev(file, "--port", "0", "--json")
    first = running.tell("url")
    assert first["ready"] is False
    status, text = fetch(first["url"])
    assert status == 500
    assert "index.ts:1" in text

    file.write_text(GOOD)
    while "reloaded" not in str(running.tell("message")):
        continue
    assert fetch(first["url"]) == (200, "hello")
    assert running.stop() == 0


def test_a_port_that_is_taken_is_named_with_the_way_out(dev: Dev, tmp_path: Path) -> None:
    file = tmp_path / "index.ts"
    file.write_text(GOOD)
    first = dev(file, "--port", "0", "--json").tell("url")
    assert first["ready"] is True
    port = first["url"].rpartition(":")[2]
    second = dev(file, "--port", port).process
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"port {port}" in errors
    assert "--port" in errors
    assert fetch(first["url"]) == (200, "hello")


def test_migrations_are_named_and_applied_when_asked(dev: Dev, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_first.sql").write_text("CREATE TABLE flats (id TEXT);")
    (tmp_path / "wrangler.jsonc").write_text(
        """{"name": "shop", "main": "index.js", "compatibility_date": "2026-02-01",
            "d1_databases": [{"binding": "DB"}]}"""
    )
    (tmp_path / "index.js").write_text(
        "export default { async fetch(request, env) {"
        ' const { results } = await env.DB.prepare("SELECT * FROM flats").all();'
        " return Response.json(results); } };"
    )
    running = dev(tmp_path, "--port", "0", "--json")
    said = running.tell("message")
    assert "skerry d1 migrations apply DB" in said["message"][0]
    assert said["message"][1] == "0001_first.sql"
    assert fetch(running.tell("url")["url"])[0] == 500
    assert running.stop() == 0

    running = dev(tmp_path, "--port", "0", "--json", "--migrate")
    assert running.tell("message")["message"] == ["DB: applied", "0001_first.sql"]
    assert fetch(running.tell("url")["url"]) == (200, "[]")
