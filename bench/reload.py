"""How soon a saved file answers, and whether a running load notices."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

CLIENTS = 4
PAUSE = 0.002
LONGEST = 20.0


class Load:
    """Clients with kept connections; every answer must be 200. `versions` are those answered."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._over = threading.Event()
        self.requests = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for each in self._threads:
            each.start()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        while not self._over.is_set():
            failure = ""
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failure = f"status {answer.status}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection.close()
            with self._lock:
                self.requests += 1
                if failure:
                    self.failures.append(failure)
            time.sleep(PAUSE)
        connection.close()

    def end(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join()


def reloads(url: str, main: Path, source: Callable[[int], str], rounds: int) -> list[float]:
    """Save a new version so often; seconds from each save until it answers."""
    address = urlsplit(url).netloc
    took: list[float] = []
    for version in range(1, rounds + 1):
        time.sleep(0.6)
        main.write_text(source(version))
        saved = time.perf_counter()
        while _asked(address) != str(version):
            if time.perf_counter() - saved > LONGEST:
                raise SystemExit(f"version {version} does not answer after {LONGEST:g} s")
            time.sleep(0.002)
        took.append(time.perf_counter() - saved)
    return took


def _asked(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
