"""How long bad requests take, and how long they hold up others. `python -m bench.bad_input [WORD]`

Starts a node on the packaged models and sends it every request of tests/acceptance/bad_inputs.py,
whose name has WORD in it, REPEAT times each. Meanwhile another process asks for /healthz all the
time: `held` is its slowest answer while the request was under way.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.bad_inputs import BAD, MODELS, Bad

REPEAT = 3
LIMIT = 0.1
"""Seconds that a refusal may take."""
PAUSE = 0.001
START = "from skerry.cli import main; main()"


@contextmanager
def node(models: tuple[str, ...] = MODELS, **environ: str) -> Iterator[tuple[str, int]]:
    """A running `skerry serve` with `models` loaded: its (host, port)."""
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-c", START, "serve", "--port", "0", "--json", "--offline"]
        command += ["--data-dir", data, *(word for name in models for word in ("--preload", name))]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | environ)
        try:
            assert child.stdout is not None
            text = ""
            for line in child.stdout:
                text += line.decode()
                if line.startswith(b"}") or text.count("{") == text.count("}") > 0:
                    break
            parts = urlsplit(json.loads(text)["url"])
            yield str(parts.hostname), int(parts.port or 0)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


def _ping(host: str, port: int, pipe: Connection) -> None:
    """(sent, answered) of request after request, on the clock that all processes share."""
    seen = []
    link = http.client.HTTPConnection(host, port)
    while not pipe.poll():
        begun = time.monotonic()
        link.request("GET", "/healthz")
        link.getresponse().read()
        seen.append((begun, time.monotonic()))
        time.sleep(PAUSE)
    pipe.send(seen)


def send(link: http.client.HTTPConnection, bad: Bad, body: bytes) -> tuple[int, dict[str, object]]:
    """The status and the JSON of the answer."""
    headers = {"Content-Type": bad.label} if bad.label else {}
    link.putrequest("POST", bad.path)
    for name, value in (headers | {"Content-Length": str(len(body))}).items():
        link.putheader(name, value)
    try:
        link.endheaders(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was read: the answer is there
    answer = link.getresponse()
    return answer.status, json.loads(answer.read())


Row = tuple[str, float, float, float]
"""Name; seconds: median, best, held."""


def measure(word: str = "") -> list[Row]:
    """Send every request whose name has `word` in it; slowest first."""
    spans = []
    with node() as (host, port):
        ours, theirs = multiprocessing.Pipe()
        pinger = multiprocessing.Process(target=_ping, args=(host, port, theirs))
        pinger.start()
        for bad in BAD:
            if not re.search(word, bad.name):
                continue
            body = bad.body()
            for _ in range(REPEAT):
                link = http.client.HTTPConnection(host, port, timeout=10)
                begun = time.monotonic()
                status, answer = send(link, bad, body)
                spans.append((bad.name, begun, time.monotonic()))
                link.close()
                if status != bad.status:
                    print(bad.name, "expected", bad.status, "got", status, str(answer)[:300])
                time.sleep(0.01)
        ours.send(None)
        pings = ours.recv()
        pinger.join()
    rows: list[Row] = []
    for name in dict.fromkeys(span[0] for span in spans):
        own = [(begun, end) for each, begun, end in spans if each == name]
        took = sorted(end - begun for begun, end in own)
        held = [
            max((to - at for at, to in pings if at < end and to > begun), default=0.0)
            for begun, end in own
        ]
        rows.append((name, took[len(took) // 2], took[0], sorted(held)[len(held) // 2]))
    return sorted(rows, key=lambda row: -row[1])


def run() -> dict[str, Any]:
    """The suite; see bench/README.md."""
    rows = measure()
    slowest = 1e3 * max(best for _, _, best, _ in rows)
    held = 1e3 * max(held for _, _, _, held in rows)
    return {
        "title": "Bad input",
        "about": f"How long {len(rows)} bad requests take to be refused, {REPEAT} times each; the"
        " twelve slowest. The body's way over the loopback is part of it: about 2 ms a megabyte.",
        "rows": [[name, 1e3 * middle, "ms"] for name, middle, _, _ in rows[:12]],
        "checks": [
            [f"slowest, best of {REPEAT}, ms", slowest, "< 100", slowest < 1e3 * LIMIT],
            ["another's request held up at most, ms", held, "< 100", held < 1e3 * LIMIT],
        ],
        "raw": [dict(zip(("name", "median", "best", "held"), row, strict=True)) for row in rows],
    }


def main(word: str = "") -> int:
    """Print a table, slowest first; 1 where anything took longer than LIMIT."""
    rows = measure(word)
    print(f"{'median':>8} {'best':>8} {'held':>8}   request (ms)")
    for name, middle, best, held in rows:
        print(f"{middle * 1e3:8.1f} {best * 1e3:8.1f} {held * 1e3:8.1f}   {name}")
    return int(any(best > LIMIT for _, _, best, _ in rows))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]))
