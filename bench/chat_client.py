"""A client of Skerry's chat over HTTP, in a process of its own: raw sockets, one thread a call."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit

from bench.bare_chat import Ask, drive
from bench.serving import serve_lines


def client(url: str) -> Ask:
    """Asks the node; each thread keeps a connection of its own."""
    parts = urlsplit(url)
    own = threading.local()

    def ask(prompt: str, most: int, stream: bool) -> tuple[int, float | None]:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(parts.netloc, timeout=300)
            own.connection.connect()
        body = json.dumps(
            {
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": most,
                "temperature": 0.0,
                "stream": stream,
            }
        )
        start = time.perf_counter()
        own.connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        answer = own.connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{url}: {answer.status} {answer.read()[:500]!r}")
        if not stream:
            found = json.loads(answer.read())
            return int(found["result"]["usage"]["completion_tokens"]), None
        # Read as it comes, parsed at the end: on two cores the client's time is the engine's too.
        first: float | None = None
        got = b""
        while chunk := answer.read1(1 << 16):
            got += chunk
            if first is None and b'{"response":"' in got:
                first = time.perf_counter() - start
        pieces = [json.loads(line[6:]) for line in got.splitlines() if line[:7] == b"data: {"]
        if not pieces or "usage" not in pieces[-1]:
            raise SystemExit(f"{url}: the stream broke off: {got[-500:]!r}")
        tokens = int(pieces[-1]["usage"]["completion_tokens"])
        return tokens, first

    return ask


if __name__ == "__main__":
    ask = client(sys.argv[1])
    serve_lines(lambda question: drive(ask, **question), {})
