"""The clients of a crash run: threads that write without end and keep a journal of the answers."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable

from bench.crash_journal import Journal, bytes_of, text_of

TIMEOUT = 30.0
KEYS = 15
"""Keys that a client writes over again; one whose state is unsure is left for a new one."""


class Client:
    """One thread. `port()` is asked for each connection."""

    def __init__(self, number: int, seed: int, port: int, pause: float) -> None:
        self.journal = Journal(client=number)
        self.turn = threading.Lock()
        """Held for the length of a write; who else holds it halts the client, as at first."""
        self.turn.acquire()
        self._random = random.Random(f"{seed}/{number}")
        self._port = port
        self._pause = pause
        self._count = 0
        self._over = False
        self._connection: http.client.HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._writes: list[Callable[[], None]] = [
            self._kv, self._kv, self._kv, self._single, self._batch, self._add, self._r2,
            self._send,
        ]  # fmt: skip
        self._thread.start()

    def end(self) -> None:
        """Write no more. Its turn must be free."""
        self._over = True
        self._thread.join()
        self._close()

    def _run(self) -> None:
        while not self._over:
            with self.turn:
                self._random.choice(self._writes)()
            time.sleep(self._random.uniform(0.2, 1.8) * self._pause)

    def _name(self) -> str:
        self._count += 1
        return f"c{self.journal.client}-{self._count}"

    def _key(self, kind: str) -> str:
        """Mostly one that was written before and whose state is sure."""
        slots = self.journal.kv if kind == "kv" else self.journal.r2
        recent = list(slots)[-KEYS:]
        known = self._random.choice(recent) if len(recent) == KEYS else ""
        if not known or slots[known].unsure or self._random.random() < 0.3:
            return self._name()
        return known

    def _kv(self) -> None:
        self._put("kv", lambda version: text_of(version).encode())

    def _r2(self) -> None:
        self._put("r2", bytes_of)

    def _put(self, kind: str, made: Callable[[str], bytes]) -> None:
        key = self._key(kind)
        if self._random.random() < 0.1:
            done, version = self._ask("DELETE", kind, key), None
        else:
            version = self._name()
            done = self._ask("PUT", kind, key, made(version))
        if done is not None:
            self.journal.put(kind, key, version, sure=done)

    def _single(self) -> None:
        name = self._name()
        self._once("single", name, self._count, text_of(name).encode())

    def _batch(self) -> None:
        lines = self._random.randrange(1, 20)
        self._once("batch", self._name(), lines, str(lines).encode())

    def _send(self) -> None:
        self._once("send", self._name(), 0, b"")

    def _once(self, kind: str, name: str, number: int, body: bytes) -> None:
        done = self._ask("POST", kind, name, body)
        if done is not None:
            self.journal.note(kind, name, number, sure=done)

    def _add(self) -> None:
        done = self._ask("POST", "count", f"c{self.journal.client}")
        if done is not None:
            self.journal.counted += done
            self.journal.maybe += not done

    def _ask(self, method: str, kind: str, name: str, body: bytes = b"") -> bool | None:
        """Whether it was acknowledged; None where it was never sent."""
        connection = self._connected()
        if connection is None:
            time.sleep(0.02)
            return None
        journal = self.journal
        try:
            connection.request(method, f"/{kind}/{name}", body)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            journal.statuses[f"{kind}: connection broken"] += 1
            self._close()
            return False
        if answer.status == 200:
            journal.acknowledged[kind] += 1
            return True
        journal.statuses[f"{kind}: status {answer.status}"] += 1
        return False

    def _connected(self) -> http.client.HTTPConnection | None:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            try:
                connection.connect()
            except OSError:
                return None
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Clients:
    """All of them; they can be halted between two writes."""

    def __init__(self, count: int, seed: int, port: int, pause: float) -> None:
        self._all = [Client(number, seed, port, pause) for number in range(count)]
        self.journals = [each.journal for each in self._all]

    def go(self) -> None:
        for each in self._all:
            each.turn.release()

    def halt(self) -> None:
        """Returns once no write is under way."""
        for each in self._all:
            if not each.turn.acquire(timeout=2 * TIMEOUT):
                raise SystemExit(f"client {each.journal.client} does not come to a halt")

    def end(self) -> None:
        for each in self._all:
            each.end()
