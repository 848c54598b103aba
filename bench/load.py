"""The load generator: wrk where it can be had, else a client of raw sockets in Python.

wrk (a C program) costs about 5 microseconds a request, the Python client about 40; on two cores
that is the difference between measuring the server and measuring the client. wrk is taken from
PATH, or from Debian's package by `apt-get download` and `dpkg -x`, which need no root.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skerry" / "bench"
PACKAGES = ["wrk", "libluajit2-5.1-2", "libluajit-5.1-common"]


class Load(msgspec.Struct, kw_only=True):
    """What came of some seconds of load. Times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    max: float
    errors: int
    generator: str = "wrk"

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def find_wrk() -> tuple[str, dict[str, str]] | None:
    """wrk's path and the environment that it needs; None where it cannot be had."""
    if found := shutil.which("wrk"):
        return found, {}
    binary = CACHE / "root" / "usr" / "bin" / "wrk"
    if not binary.exists() and not _unpack_wrk():
        return None
    libraries = next((CACHE / "root").rglob("libluajit-5.1.so.2")).parent
    return str(binary), {"LD_LIBRARY_PATH": str(libraries)}


def _unpack_wrk() -> bool:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return False
    debs = CACHE / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["apt-get", "download", *PACKAGES],
            cwd=debs,
            check=True,
            capture_output=True,
            timeout=120,
        )
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg", "-x", deb, CACHE / "root"], check=True, capture_output=True)
    except (subprocess.SubprocessError, OSError) as error:
        sys.stderr.write(f"no wrk ({error}): the Python client is used, which costs more\n")
        return False
    return True


def put_load(url: str, bodies: list[dict[str, object]], connections: int, seconds: float) -> Load:
    """Post the bodies in turn over that many connections, each waiting for its answer.

    No bodies: GET.
    """
    lines = [json.dumps(body) for body in bodies]
    wrk = find_wrk()
    if wrk is None:
        return _with_python(url, lines, connections, seconds)
    binary, extra = wrk
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        done = subprocess.run(
            [
                binary,
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout",
                "30s",
                "-s",
                str(HERE / "wrk.lua"),
                url,
            ],
            env={**os.environ, **extra, "BENCH_BODIES": file.name},
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=True,
        )
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    return msgspec.json.decode(line.removeprefix("RESULT "), type=Load)


def _with_python(url: str, lines: list[str], connections: int, seconds: float) -> Load:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", url, str(connections), str(seconds)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
        cwd=HERE.parent,
    )
    return msgspec.json.decode(done.stdout, type=Load)


class _Connection:
    """One socket with one request in flight."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent = 0.0

    def read(self) -> int | None:
        """The status once the whole answer is there."""
        self.buffer += self.sock.recv(1 << 16)
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        lowered = head.lower()
        at = lowered.index(b"content-length:") + 15
        length = int(lowered[at : lowered.find(b"\r", at) % (len(lowered) + 1)])
        if len(body) < length:
            return None
        self.buffer = body[length:]
        return int(head[9:12])


def run_client(url: str, lines: list[str], connections: int, seconds: float) -> Load:
    """The client itself, on one thread."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    requests = [
        (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(line.encode())}\r\n\r\n{line}"
        ).encode()
        for line in lines
    ] or [f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()]
    selector = selectors.DefaultSelector()
    took: list[float] = []
    errors = number = 0
    start = time.perf_counter()
    for _ in range(connections):
        connection = _Connection(address)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
        connection.sent = time.perf_counter()
        connection.sock.sendall(requests[number % len(requests)])
        number += 1
    while (now := time.perf_counter()) - start < seconds:
        for key, _ in selector.select(1.0):
            connection = key.data
            status = connection.read()
            if status is None:
                continue
            now = time.perf_counter()
            took.append(now - connection.sent)
            errors += status != 200
            connection.sent = now
            connection.sock.sendall(requests[number % len(requests)])
            number += 1
    took.sort()
    return Load(
        requests=len(took),
        seconds=now - start,
        p50=took[len(took) // 2],
        p99=took[int(len(took) * 0.99)],
        max=took[-1],
        errors=errors,
        generator="python",
    )


if __name__ == "__main__":
    answer = run_client(
        sys.argv[1], sys.stdin.read().splitlines(), int(sys.argv[2]), float(sys.argv[3])
    )
    print(msgspec.json.encode(answer).decode())
