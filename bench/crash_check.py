"""Is all there that was acknowledged, whole, and nothing else?"""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bench.crash_journal import Journal, Slot, version_of_bytes, version_of_text
from bench.crash_load import KEYS

BULK = 100
DELIVERY = 120.0
"""Seconds that messages have to be delivered at the end: a lease of a consumer that died holds
for 30, and a pause after failures is as long."""


class Findings(msgspec.Struct):
    """What is not as it was told. Each a line of text."""

    lost: list[str] = []
    wrong: list[str] = []
    """Half written, half of a batch, never sent, or a file that SQLite finds damaged."""
    checked: int = 0
    duplicates: int = 0
    """Deliveries of a message beyond its first."""
    delivered: int = 0


class Checker:
    """Asks the worker for what the journals say. What was found to be right is not asked again."""

    def __init__(self, port: int, journals: Sequence[Journal], data_dir: Path) -> None:
        self.findings = Findings()
        self._port = port
        self._journals = journals
        self._data_dir = data_dir
        self._seen: dict[str, int] = {}

    def recent(self) -> None:
        """What was written since the last time. Nothing may be under way."""
        self._check(whole=False)

    def everything(self) -> None:
        """All of it, once more."""
        self._seen.clear()
        self._check(whole=True)

    def files(self) -> None:
        """Every SQLite file, by SQLite itself."""
        for path in sorted(self._data_dir.rglob("*.sqlite")):
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                (said,) = connection.execute("PRAGMA integrity_check").fetchone()
            self.findings.checked += 1
            if said != "ok":
                self.findings.wrong.append(f"{path.name}: {said}")

    def deliveries(self) -> None:
        """Wait until every acknowledged message was delivered, once or more often."""
        sent = {name for each in self._journals for name in each.told.get("send", {})}
        maybe = {name for each in self._journals for name in each.unsure.get("send", {})}
        until = time.monotonic() + DELIVERY
        while True:
            rows = self._sql("SELECT body, n FROM deliveries WHERE ?1 = ?1", [])
            found = {str(row["body"]): int(row["n"]) for row in rows}
            if sent <= found.keys() or time.monotonic() > until:
                break
            time.sleep(0.25)
        self.findings.lost += [f"message {name}" for name in sorted(sent - found.keys())]
        self.findings.wrong += [
            f"message {name} was never sent" for name in sorted(found.keys() - sent - maybe)
        ]
        self.findings.checked += len(sent)
        self.findings.delivered = len(found)
        self.findings.duplicates = sum(found.values()) - len(found)

    def orphans(self) -> None:
        """Files of objects that no row names, after the store was opened again."""
        folder = self._data_dir / "accounts" / "local" / "r2"
        files = {path.name for path in (folder / "blobs").rglob("*") if path.is_file()}
        with closing(sqlite3.connect(folder / "r2.sqlite", timeout=30)) as connection:
            rows = connection.execute("SELECT blob FROM objects WHERE blob IS NOT NULL").fetchall()
        named = {Path(blob).name for (blob,) in rows}
        self.findings.checked += len(named)
        self.findings.lost += [f"file {name} of an object" for name in sorted(named - files)]
        parts = [name for name in files if name.endswith(".part")]
        self.findings.wrong += [f"half a file {name} is left" for name in sorted(parts)]

    def _check(self, *, whole: bool) -> None:
        for journal in self._journals:
            self._slots("kv", journal, journal.kv, whole=whole)
            self._slots("r2", journal, journal.r2, whole=whole)
            self._once(journal)
            self._counter(journal)

    def _slots(self, kind: str, journal: Journal, slots: dict[str, Slot], *, whole: bool) -> None:
        # A key is written again while it is among the last: those before cannot have changed.
        since = 0 if whole else self._seen.get(f"{kind}/{journal.client}", 0)
        names = list(slots)[max(0, since - KEYS) :]
        self._seen[f"{kind}/{journal.client}"] = len(slots)
        found = self._kv(names) if kind == "kv" else self._r2(names)
        for name in names:
            self.findings.checked += 1
            slot, data = slots[name], found[name]
            try:
                version = None if data is None else _version(data)
            except ValueError as error:
                self.findings.wrong.append(f"{kind} {name} holds {error}")
                continue
            if not slot.fits(version):
                text = f"{kind} {name} holds {version}, not {slot.told}"
                self.findings.lost.append(text + (f" or {slot.open}" if slot.unsure else ""))
            elif slot.unsure:  # what it is now it must remain
                slot.told, slot.open = version, version

    def _kv(self, names: Sequence[str]) -> dict[str, str | bytes | None]:
        found: dict[str, str | bytes | None] = {}
        for at in range(0, len(names), BULK):
            found |= self._ask({"kv": names[at : at + BULK]})
        return found

    def _r2(self, names: Sequence[str]) -> dict[str, str | bytes | None]:
        found: dict[str, str | bytes | None] = {}
        with closing(self._connection()) as connection:
            for name in names:
                connection.request("GET", f"/r2/{name}")
                answer = connection.getresponse()
                data = answer.read()
                if answer.status not in (200, 404):
                    raise SystemExit(f"GET /r2/{name}: {answer.status} {data[:300]!r}")
                found[name] = data if answer.status == 200 else None
        return found

    def _once(self, journal: Journal) -> None:
        told, unsure = journal.told, journal.unsure
        names = self._news(journal, "single", told.get("single", {}))
        rows = self._in("SELECT id, body FROM single WHERE id IN", names)
        bodies = {row["id"]: row["body"] for row in rows}
        for name in names:
            if name not in bodies:
                self.findings.lost.append(f"row {name}")
                continue
            try:
                version_of_text(bodies[name])
            except ValueError as error:
                self.findings.wrong.append(f"row {name} holds {error}")
        names = self._news(journal, "batch", told.get("batch", {}))
        open_names = self._news(journal, "batch?", unsure.get("batch", {}))
        rows = self._in("SELECT id, count FROM orders WHERE id IN", [*names, *open_names])
        orders = {row["id"]: row["count"] for row in rows}
        rows = self._in(
            "SELECT id, count(*) AS n FROM lines WHERE id IN", [*names, *open_names], "GROUP BY id"
        )
        lines = {row["id"]: row["n"] for row in rows}
        wanted = told.get("batch", {}) | unsure.get("batch", {})
        for name in (*names, *open_names):
            if name not in orders and name not in lines:
                if name in told.get("batch", {}):
                    self.findings.lost.append(f"batch {name}")
            elif orders.get(name) != wanted[name] or lines.get(name) != wanted[name]:
                self.findings.wrong.append(
                    f"batch {name}: {orders.get(name)} and {lines.get(name)} of {wanted[name]}"
                )

    def _news(self, journal: Journal, kind: str, names: Iterable[str]) -> list[str]:
        key = f"{kind}/{journal.client}"
        listed = list(names)
        news = listed[self._seen.get(key, 0) :]
        self._seen[key] = len(listed)
        self.findings.checked += len(news)
        return news

    def _counter(self, journal: Journal) -> None:
        rows = self._sql(
            "SELECT n FROM counters WHERE name = json_extract(?, '$[0]')", [f"c{journal.client}"]
        )
        found = int(rows[0]["n"]) if rows else 0
        self.findings.checked += 1
        if found < journal.counted:
            self.findings.lost.append(
                f"counter {journal.client}: {found} of {journal.counted} additions"
            )
        elif found > journal.counted + journal.maybe:
            self.findings.wrong.append(
                f"counter {journal.client}: {found}, more than {journal.counted} +"
                f" {journal.maybe}: an addition was made twice"
            )

    def _in(self, head: str, names: Sequence[str], tail: str = "") -> list[dict[str, Any]]:
        if not names:
            return []
        return self._sql(f"{head} (SELECT value FROM json_each(?)) {tail}", names)

    def _sql(self, sql: str, names: Sequence[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._ask({"sql": sql, "of": names})
        return rows

    def _ask(self, body: Any) -> Any:
        with closing(self._connection()) as connection:
            connection.request("POST", "/read", json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
        if answer.status != 200:
            raise SystemExit(f"POST /read: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)


def _version(data: str | bytes) -> str:
    return version_of_text(data) if isinstance(data, str) else version_of_bytes(data)
