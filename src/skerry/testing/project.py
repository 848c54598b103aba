"""A project that runs for tests: requests to it, its stores, what it says."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from skerry.testing.stores import D1, Kv
from skerry.workers.bindings import KvBinding
from skerry.workers.migrations import databases
from skerry.workers.project import Project
from skerry.workers.supervisor import Supervisor

if TYPE_CHECKING:
    from skerry.testing.node import LocalNode

ANSWER = 300.0
"""Seconds that an answer may take."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer, whole."""

    status: int
    headers: Mapping[str, str]
    """Names in whatever case."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON. Raises AssertionError with the body where it is none."""
        try:
            return jsonlib.loads(self.body)
        except ValueError as error:
            raise AssertionError(f"not JSON: {self.status} {self.body[:500]!r}") from error

    def events(self) -> list[str]:
        """The data of each server-sent event, in order."""
        found = []
        for block in self.text.replace("\r\n", "\n").split("\n\n"):
            lines = [line[5:].lstrip() for line in block.split("\n") if line.startswith("data:")]
            if lines:
                found.append("\n".join(lines))
        return found


class RunningProject:
    """What `skerry.start` answers."""

    def __init__(self, node: LocalNode, supervisor: Supervisor, url: str) -> None:
        self._node = node
        self._supervisor = supervisor
        self.url = url
        """Where the worker answers, and the node's own API."""

    @property
    def project(self) -> Project:
        """The configuration, as it was read."""
        assert self._supervisor.project is not None
        return self._supervisor.project

    def fetch(
        self,
        path: str = "/",
        *,
        method: str | None = None,
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER,
    ) -> Reply:
        """A request to the worker; with `json` or `data` it is a POST. Redirects are answers."""
        if json is not None:
            data = jsonlib.dumps(json)
            headers = {"content-type": "application/json"} | dict(headers or {})
        method = method or ("GET" if data is None else "POST")
        body = data.encode() if isinstance(data, str) else data
        return self._node.call(self._fetch(path, method, body, dict(headers or {})), timeout)

    async def _fetch(
        self, path: str, method: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply:
        async with self._node.http.request(
            method, self.url + path, data=body, headers=headers, allow_redirects=False
        ) as answer:
            return Reply(status=answer.status, headers=answer.headers, body=await answer.read())

    def kv(self, name: str) -> Kv:
        """A KV namespace, by its binding or its id."""
        for each in self.project.bindings:
            if isinstance(each, KvBinding) and name in (each.name, each.id):
                return Kv(self._node, self._node.node.stores.kv("local", each.id))
        raise LookupError(f"{self.project.name} has no KV namespace {name}")

    def d1(self, name: str) -> D1:
        """A D1 database, by its binding, name or id."""
        for each in self.databases():
            if name in each.names:
                return each
        raise LookupError(f"{self.project.name} has no D1 database {name}")

    def databases(self) -> list[D1]:
        """Every D1 database of the project."""
        found = databases(self._node.node.stores, "local", self.project)
        return [D1(self._node, each) for each in found]

    @property
    def logs(self) -> list[str]:
        """What the worker has said so far: console.log, exceptions, reloads."""
        return [
            " ".join(map(str, each.message))
            for each in list(self._node.said)
            if each.worker == self.project.name
        ]

    def wait_for_log(self, words: str, seconds: float = 10.0) -> str:
        """The first thing said that has these words in it. Raises AssertionError."""

        def found() -> list[str]:
            return [each for each in self.logs if words in each]

        with self._node.heard:
            if not self._node.heard.wait_for(found, seconds):
                raise AssertionError(f"nothing with {words!r} in {self.logs}")
        return found()[0]

    def until(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until `holds()` is true: what a worker does by waitUntil comes after its answer.

        Raises AssertionError where it does not become so.
        """
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"it did not come true within {seconds} s")
            time.sleep(0.01)

    def reload(self) -> None:
        """Bring up the sources as they are now. Raises SkerryError where they cannot be built."""
        self._node.reload(self._supervisor)

    def stop(self) -> None:
        """Let requests in flight end, then stop the worker."""
        self._node.call(self._supervisor.stop(5.0))
