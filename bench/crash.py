"""kill -9 under load, many times: `python -m bench.crash [--kills N] [--seed N]`.

A node runs a worker that writes to KV, D1, R2 and a queue; several clients write without end and
keep a journal of what was acknowledged. At random moments the node or workerd is killed, now and
then a node that is just starting. After each restart, and at the end once more, all that was
acknowledged must be there. The process that holds the writers of all stores is the node.

Messages are delivered at least once, which is what queues promise: none may be lost, some come
again. An addition in D1 is made exactly once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from bench.crash_check import Checker
from bench.crash_load import Clients
from bench.report import median, show, write
from bench.serving import TOOLS

PROJECT = Path(__file__).with_name("crash_worker")
START = 60.0
LONGEST = 1.2
"""Seconds of load before a kill, at most."""
STARTING = 0.12
"""Share of the killed nodes that are killed once more while they start."""
FILES_EVERY = 20


class Target:
    """The node that is killed and started again, on one port and one data directory."""

    def __init__(self, data_dir: Path, environ: dict[str, str]) -> None:
        self.data_dir = data_dir
        self._environ = environ
        self._out, self._err = (data_dir.parent / name for name in ("node.out", "node.err"))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start without waiting."""
        command = [str(Path(sys.executable).with_name("skerry")), "dev", str(PROJECT), "--json"]
        command += ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        environ = {"SKERRY_TOOLS": str(TOOLS), **os.environ, **self._environ}
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self._process = subprocess.Popen(command, stdout=out, stderr=err, env=environ)

    def ready(self) -> None:
        """Wait until the worker answers. SystemExit where it does not."""
        assert self._process is not None
        until = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                words = self._err.read_text()[-2000:] + self._out.read_text()[-2000:]
                raise SystemExit(f"the node does not answer: {words}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        if not self.port:
            self.port = self._announced()
        try:
            with urllib.request.urlopen(f"{self.url}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _announced(self) -> int:
        """The port that the node has chosen; 0 while it has not."""
        for line in self._out.read_text().splitlines(keepends=True):
            if line.endswith("\n") and "url" in (said := json.loads(line)):
                return int(said["url"].rpartition(":")[2])
        return 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill_node(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_workerd(self) -> bool:
        """False where there is none at the moment."""
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children(recursive=True):
            try:
                if child.name() == "workerd":
                    os.kill(child.pid, signal.SIGKILL)
                    return True
            except (psutil.NoSuchProcess, ProcessLookupError):
                continue
        return False

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill_node()


class Run:
    """One run: clients, kills, checks."""

    def __init__(self, target: Target, seed: int, clients: int, pause: float) -> None:
        self._target = target
        self._random = random.Random(seed)
        target.spawn()
        target.ready()
        urllib.request.urlopen(f"{target.url}/setup", b"").close()
        self._clients = Clients(clients, seed, target.port, pause)
        self.journals = self._clients.journals
        self.checker = Checker(target.port, self.journals, target.data_dir)
        self.kills: Counter[str] = Counter()
        self.back: dict[str, list[float]] = {"node": [], "workerd": []}
        """Seconds from a kill to an answer."""

    def go(self, kills: int) -> None:
        """Kill so often."""
        while (done := self.kills.total()) < kills:
            self._clients.go()
            time.sleep(self._random.uniform(0.02, LONGEST))
            self._kill(left=kills - done)
            self._clients.halt()
            self.checker.recent()
            if done % FILES_EVERY == 0:
                self.checker.files()
            if self.checker.findings.lost or self.checker.findings.wrong:
                break

    def _kill(self, left: int) -> None:
        begun = time.monotonic()
        what = "workerd" if self._random.random() < 0.35 else "node"
        if what == "workerd":
            if not self._target.kill_workerd():
                return
            self.kills[what] += 1
        else:
            self._target.kill_node()
            self.kills[what] += 1
            self._target.spawn()
            if left > 1 and self._random.random() < STARTING:
                time.sleep(self._random.uniform(0.0, 1.0))
                self._target.kill_node()
                self.kills["node while starting"] += 1
                begun = time.monotonic()
                self._target.spawn()
        self._target.ready()
        self.back[what].append(time.monotonic() - begun)

    def end(self) -> None:
        """The last words: everything once more, with a node that was stopped and started anew."""
        self._clients.go()
        self._clients.end()
        self.checker.deliveries()
        self._target.stop()
        self._target.spawn()
        self._target.ready()
        self.checker.everything()
        self.checker.files()
        self.checker.orphans()


def run(
    kills: int = 200,
    seed: int = 1,
    clients: int = 8,
    pause: float = 0.005,
    environ: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The suite, as bench/report.py takes it."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skerry-crash-") as folder:
        target = Target(Path(folder) / "data", environ or {})
        try:
            made = Run(target, seed, clients, pause)
            made.go(kills)
            made.end()
        finally:
            target.close()
    return _suite(made, kills, seed, clients, time.monotonic() - begun)


def _suite(made: Run, kills: int, seed: int, clients: int, seconds: float) -> dict[str, Any]:
    findings = made.checker.findings
    acknowledged: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for journal in made.journals:
        acknowledged += journal.acknowledged
        statuses += journal.statuses
    names = {
        "kv": "KV puts and deletes",
        "single": "D1 inserts",
        "batch": "D1 batches of two tables",
        "count": "D1 additions",
        "r2": "R2 puts and deletes",
        "send": "queue messages",
    }
    rows: list[list[Any]] = [["kills", float(made.kills.total()), ""]]
    rows += [[f"of them: {what}", float(count), ""] for what, count in made.kills.most_common()]
    rows += [
        [f"acknowledged {text}", float(acknowledged[kind]), ""] for kind, text in names.items()
    ]
    rows += [
        ["writes that got no answer or an error", float(statuses.total()), ""],
        ["messages delivered", float(findings.delivered), ""],
        ["deliveries beyond a message's first", float(findings.duplicates), ""],
        ["checks made", float(findings.checked), ""],
    ]
    for what, times in made.back.items():
        if times:
            rows.append([f"{what}: from the kill to an answer, median", median(times), "s"])
            rows.append([f"{what}: the same, longest", max(times), "s"])
    rows.append(["length of the run", seconds, "s"])
    total = float(made.kills.total())
    kinds = float(sum(acknowledged[kind] > 0 for kind in names))
    return {
        "title": "Crashes",
        "about": f"{clients} clients write to KV, D1, R2 and a queue through a TypeScript worker on"
        " `skerry dev`; at random moments the node, which holds the writers of all stores, or"
        " workerd gets kill -9. After each restart all that was acknowledged is read back, the"
        " bytes of objects compared; batches must be whole or absent. Messages are delivered at"
        f" least once. Seed {seed}.",
        "rows": rows,
        "checks": [
            ["kills", total, f">= {kills}", total >= kills],
            ["kinds of write acknowledged", kinds, f"{len(names)}", kinds == len(names)],
            ["acknowledged writes lost", float(len(findings.lost)), "0", not findings.lost],
            ["half, doubled or damaged", float(len(findings.wrong)), "0", not findings.wrong],
        ],
        "raw": {
            "seed": seed,
            "kills": dict(made.kills),
            "acknowledged": dict(acknowledged),
            "unanswered": dict(statuses),
            "lost": findings.lost[:100],
            "wrong": findings.wrong[:100],
            "seconds_to_answer": made.back,
        },
    }


def main() -> int:
    """Run, print, keep; 1 where something is lost or not whole."""
    parser = argparse.ArgumentParser(prog="python -m bench.crash")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--no-write", action="store_true", help="keep nothing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    suite = run(given.kills, given.seed, given.clients)
    if given.json:
        print(json.dumps(suite))
    else:
        show(suite)
    if not given.no_write:
        write("crash", suite)
    return int(any(not holds for *_, holds in suite["checks"]))


if __name__ == "__main__":
    raise SystemExit(main())
