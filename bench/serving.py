"""Processes that a benchmark starts: a Skerry node, and helpers that answer a line with a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
TOOLS = Path.home() / ".cache" / "skerry" / "tools"
"""Where workerd and esbuild are kept, if SKERRY_TOOLS does not say otherwise."""


class Node:
    """A running `skerry serve`."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self.url = url
        self.pid = process.pid
        self._process = psutil.Process(process.pid)

    def run_url(self, model: str) -> str:
        """Where Cloudflare's API runs the model."""
        return f"{self.url}/client/v4/accounts/local/ai/run/{model}"

    def memory(self) -> dict[str, int]:
        """Bytes: resident set of the node and of its runners."""
        runners = self._process.children(recursive=True)
        return {
            "node": self._process.memory_info().rss,
            "runners": sum(runner.memory_info().rss for runner in runners),
        }

    def shares(self) -> dict[str, dict[str, int]]:
        """Program -> bytes: its resident set ("rss"), and that with what processes share divided
        among them ("pss")."""
        found: dict[str, dict[str, int]] = {}
        for process in (self._process, *self._process.children(recursive=True)):
            info = process.memory_full_info()
            sums = found.setdefault(process.name(), {"rss": 0, "pss": 0})
            sums["rss"] += info.rss
            sums["pss"] += info.pss
        return found


@contextmanager
def node(
    *arguments: str,
    environ: dict[str, str] | None = None,
    command: str = "serve",
    data_dir: Path | None = None,
) -> Iterator[Node]:
    """A node on a free port with an empty data folder and the user's model store.

    command: or `dev`. data_dir: one that is there.
    """
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as folder:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("skerry")),
                command,
                "--port",
                "0",
                "--json",
                "--data-dir",
                str(data_dir or folder),
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
            env={"SKERRY_TOOLS": str(TOOLS), **os.environ, **(environ or {})},
        )
        try:
            assert process.stdout is not None
            yield Node(_announced(process), process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _announced(process: subprocess.Popen[str]) -> str:
    """The URL that it tells; whatever it says later is read and dropped, so that no pipe fills."""
    assert process.stdout is not None
    for line in process.stdout:
        if "url" in (said := json.loads(line)):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return str(said["url"])
    raise SystemExit(f"skerry ended with status {process.wait()}")


class Helper:
    """A Python module in a process of its own: one line of JSON in, one out."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.ready: dict[str, Any] = self._read()

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._module} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve_lines(answer: Any, ready: dict[str, Any]) -> None:
    """The other end of a Helper: `answer(question)` for each line, on a stdout kept clean."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    out.write(json.dumps(ready) + "\n")
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stderr.flush()
    os._exit(0)


def post(url: str, body: dict[str, Any], timeout: float = 120) -> Any:
    """One request, its JSON answer."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url}: {error.code} {error.read()[:500]!r}") from error
