"""Minutes of mixed traffic with faults: `python -m bench.soak [--minutes N]`.

Several models at once, whole answers and streams, clients that leave in the middle, bad input, and
a runner that is killed every KILL seconds. Clients pause between requests: this is no measure of
speed. Every request must come to an end that its client can
tell: an answer, a documented error, or a stream's last event. What does not is lost. Memory, file
descriptors and threads of the node are sampled, and must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import aiohttp
import psutil

from bench.report import show, write
from bench.serving import node
from tests.acceptance.bad_inputs import BAD, CHAT, EMBED, LABELS, RUN, SENTIMENT, jpeg

MODELS = (EMBED, SENTIMENT, LABELS, CHAT)
KILL = 10.0
SAMPLE = 2.0
LARGE = 1 << 20
"""Bytes: larger bad bodies are left to bench.bad_input."""
GROWTH = 24.0
"""MB that the node may grow from the first quarter to the end: the allocator's, not a leak's."""
FDS = 8
STORY = "Tell a story about a fox."


class Soak:
    """The traffic and what came of it."""

    def __init__(self, url: str, http: aiohttp.ClientSession, process: psutil.Process) -> None:
        self.url = url
        self.http = http
        self.process = process
        self.random = random.Random(7)
        self.over = asyncio.Event()
        self.took: dict[str, list[float]] = defaultdict(list)
        self.ended: dict[str, Counter[str]] = defaultdict(Counter)
        """Kind of request -> how it ended -> how often."""
        self.lost: list[str] = []
        self.wrong: list[str] = []
        self.kills = 0
        self.samples: list[dict[str, float]] = []
        self.vectors: dict[str, list[float]] = {}
        self.bad = [each for each in BAD if len(each.body()) < LARGE]

    async def go_on(self, kind: str, call: Callable[[], Awaitable[str]], pause: float) -> None:
        """One client: a request, a pause of that length in the mean, until the end."""
        while not self.over.is_set():
            begun = time.perf_counter()
            try:
                how = await call()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.lost.append(f"{kind}: {error!r}")
                how = "lost"
            self.ended[kind][how] += 1
            self.took[kind].append(time.perf_counter() - begun)
            await self.after(self.random.uniform(0, 2 * pause))

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.http.post(self.url + path, json=body) as got:
            return got.status, await got.json()

    async def embed(self) -> str:
        text = f"text number {self.random.randrange(40)}"
        status, answer = await self.post(RUN + EMBED, {"text": [text]})
        if status != 200:
            return self.code(answer)
        vector = answer["result"]["data"][0]
        first = self.vectors.setdefault(text, vector)
        if sum(a * b for a, b in zip(first, vector, strict=True)) < 0.995:
            self.wrong.append(f"embed {text}")
        return "answered"

    async def classify(self) -> str:
        status, answer = await self.post(RUN + SENTIMENT, {"text": "I love this little boat."})
        if status != 200:
            return self.code(answer)
        scores = {each["label"]: each["score"] for each in answer["result"]}
        if scores["POSITIVE"] < 0.5:
            self.wrong.append(f"classify {scores}")
        return "answered"

    async def label(self, image: bytes) -> str:
        async with self.http.post(self.url + RUN + LABELS, data=image) as got:
            answer = await got.json()
        return "answered" if got.status == 200 else self.code(answer)

    async def chat(self) -> str:
        messages = [{"role": "user", "content": f"{STORY} {self.random.random()}"}]
        body = {"model": CHAT, "messages": messages, "max_tokens": 24}
        status, answer = await self.post("/v1/chat/completions", body)
        if status != 200:
            return str(answer["error"]["cloudflare_code"])
        if not answer["choices"][0]["message"]["content"]:
            self.wrong.append("chat: an empty answer")
        return "answered"

    async def stream(self) -> str:
        body = {"prompt": f"{STORY} {self.random.random()}", "max_tokens": 48, "stream": True}
        last = ""
        async with self.http.post(self.url + RUN + CHAT, json=body) as got:
            if got.status != 200:
                return self.code(await got.json())
            async for line in got.content:
                last = line.decode().strip() or last
        if last == "data: [DONE]":
            return "answered"
        return "ended by " + self.code(json.loads(last.removeprefix("data: ")))

    async def leave(self) -> str:
        """Begin a long stream and go away in the middle of it."""
        body = {"prompt": STORY, "max_tokens": 2000, "stream": True}
        async with self.http.post(self.url + RUN + CHAT, json=body) as got:
            if got.status != 200:
                return self.code(await got.json())
            for _ in range(self.random.randrange(1, 12)):
                await got.content.readline()
            got.close()
        return "left"

    async def misuse(self) -> str:
        bad = self.random.choice(self.bad)
        headers = {"Content-Type": bad.label} if bad.label else {}
        async with self.http.post(self.url + bad.path, data=bad.body(), headers=headers) as got:
            await got.read()
        if got.status not in (bad.status, 429, 500):
            self.wrong.append(f"{bad.name}: {got.status}")
        return "refused" if got.status == bad.status else str(got.status)

    @staticmethod
    def code(answer: Any) -> str:
        return str(answer["errors"][0]["code"])

    async def kill(self) -> None:
        """Kill one runner after the other, whatever it has to do."""
        while not await self.after(KILL):
            runners = self.process.children(recursive=True)
            if runners:
                os.kill(self.random.choice(runners).pid, signal.SIGKILL)
                self.kills += 1

    async def watch(self) -> None:
        begun = time.perf_counter()
        while True:
            runners = self.process.children(recursive=True)
            self.samples.append(
                {
                    "at": time.perf_counter() - begun,
                    "node_mb": self.process.memory_info().rss / 1e6,
                    "runners_mb": sum(map(_resident, runners)) / 1e6,
                    "runners": len(runners),
                    "fds": self.process.num_fds(),
                    "threads": self.process.num_threads(),
                }
            )
            if await self.after(SAMPLE):
                return

    async def after(self, seconds: float) -> bool:
        """Wait; true once the soak is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return False
        return True

    async def run(self, seconds: float) -> None:
        image = jpeg(320)
        kinds: list[tuple[str, int, float, Callable[[], Awaitable[str]]]] = [
            ("embed", 6, 0.05, self.embed),
            ("classify", 3, 0.1, self.classify),
            ("label", 2, 0.3, lambda: self.label(image)),
            ("chat", 2, 0.1, self.chat),
            ("stream", 2, 0.1, self.stream),
            ("leave", 1, 0.1, self.leave),
            ("misuse", 2, 0.05, self.misuse),
        ]
        async with asyncio.TaskGroup() as group:
            for kind, count, pause, call in kinds:
                for _ in range(count):
                    group.create_task(self.go_on(kind, call, pause))
            group.create_task(self.kill())
            group.create_task(self.watch())
            await asyncio.sleep(seconds)
            self.over.set()


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:  # it was killed just now
        return 0


async def _soak(minutes: float) -> tuple[Soak, dict[str, float]]:
    preload = [word for name in MODELS for word in ("--preload", name)]
    with node("--offline", *preload) as served:
        process = psutil.Process(served.pid)
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            soak = Soak(served.url, http, process)
            before = process.num_fds()
            await soak.run(60 * minutes)
        await asyncio.sleep(1)  # the connections close
        after = {"fds_before": before, "fds_after": process.num_fds()}
    return soak, {name: float(value) for name, value in after.items()}


def run(minutes: float = 2.0) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    soak, fds = asyncio.run(_soak(minutes))
    quarter = soak.samples[len(soak.samples) // 8 : len(soak.samples) // 4 + 1]
    tail = soak.samples[-max(1, len(soak.samples) // 8) :]
    grown = median(each["node_mb"] for each in tail) - median(each["node_mb"] for each in quarter)
    total = sum(sum(ends.values()) for ends in soak.ended.values())
    odd = Counter[str]()
    for kind, ends in soak.ended.items():
        odd += Counter({f"{kind}: {how}": n for how, n in ends.items() if how[-1].isdigit()})
    rows: list[list[Any]] = [["requests", float(total), ""], ["runners killed", soak.kills, ""]]
    for kind, times in soak.took.items():
        ordered = sorted(times)
        rows.append([f"{kind}: requests", float(len(times)), ""])
        rows.append([f"{kind}: median", 1e3 * median(ordered), "ms"])
        rows.append([f"{kind}: slowest", 1e3 * ordered[-1], "ms"])
    rows += [[how, float(count), "times"] for how, count in sorted(odd.items())]
    for what in ("node_mb", "runners_mb", "fds", "threads"):
        values = [each[what] for each in soak.samples]
        told = ", ".join(f"{value:.0f}" for value in (values[0], max(values), values[-1]))
        rows.append([f"{what}: first, most, last", told, ""])
    left = fds["fds_after"] - fds["fds_before"]
    return {
        "title": "Soak",
        "about": f"{minutes:g} minutes of mixed traffic on {len(MODELS)} models: whole answers,"
        " streams, clients that leave in the middle, bad input; a runner is killed every"
        f" {KILL:g} s. Streams that had begun on a killed runner end with 5000.",
        "rows": rows,
        "checks": [
            ["requests lost", float(len(soak.lost)), "0", not soak.lost],
            ["wrong answers", float(len(soak.wrong)), "0", not soak.wrong],
            ["growth of the node, MB", grown, f"< {GROWTH:g}", grown < GROWTH],
            ["descriptors left over", left, f"<= {FDS}", left <= FDS],
        ],
        "raw": {
            "ended": {kind: dict(ends) for kind, ends in soak.ended.items()},
            "lost": soak.lost[:50],
            "wrong": soak.wrong[:50],
            "samples": soak.samples,
            **fds,
        },
    }


def main() -> int:
    """Run, print, keep; 1 where something is lost, wrong or grows."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--minutes", type=float, default=2.0)
    suite = run(parser.parse_args().minutes)
    show(suite)
    write("soak", suite)
    return int(any(not holds for *_, holds in suite["checks"]))


if __name__ == "__main__":
    raise SystemExit(main())
