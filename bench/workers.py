"""Workers on a node: what the way to workerd and to each binding costs."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.bare_workerd import bare_workerd
from bench.load import Load, put_load
from bench.overhead import DUMMY
from bench.reload import Load as Steady
from bench.reload import reloads
from bench.report import median
from bench.serving import Helper, node, post

HERE = Path(__file__).parent
PLAIN = HERE / "plain_worker.ts"
RATE = HERE / "rate_worker"
DUMMY_NAME = "@skerry/bench-dummy"
CONNECTIONS = 32
WRITERS = 64
MB = 1e6


def run(rounds: int = 5, seconds: float = 3.0) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    rates = _rates(rounds, seconds)
    calls = _calls(rounds, seconds)
    puts = _store_puts(rounds, seconds)
    starts = {"plain": _starts(PLAIN, "/", rounds), "ai": _starts(RATE, "/sentiment", rounds)}
    reloading = _reloads(2 * rounds)
    memory = _memory()
    return _suite(
        {
            "rates": rates,
            "calls": calls,
            "store_puts": puts,
            "starts": starts,
            "reloads": reloading,
            "memory": memory,
        },
        rounds,
    )


def _in_turns(arms: dict[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            found[name].append(arm())
    return found


def _rates(rounds: int, seconds: float) -> dict[str, list[Load]]:
    """The same bundle by the node and by workerd alone, one of them busy at a time."""
    with node(str(PLAIN), command="dev") as served, bare_workerd(PLAIN) as bare:
        urls = {"node": f"{served.url}/", "bare": f"{bare}/"}
        for url in urls.values():
            put_load(url, [], CONNECTIONS, 2)
        return _in_turns(
            {
                name: lambda url=url: put_load(url, [], CONNECTIONS, seconds)  # type: ignore[misc]
                for name, url in urls.items()
            },
            rounds,
        )


@contextmanager
def _dummies() -> Iterator[dict[str, str]]:
    """The environment of a node whose catalog has the dummy model."""
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as folder:
        (Path(folder) / "dummy.toml").write_text(DUMMY)
        yield {"SKERRY_CATALOG": folder, "SKERRY_MODELS": f"{folder}/models"}


def _calls(rounds: int, seconds: float) -> dict[str, list[Load]]:
    """One connection: a request with each binding call, the same without, and the call by REST."""
    body: dict[str, object] = {"prompt": "hello"}
    with (
        _dummies() as environ,
        node(str(RATE), command="dev", environ=environ) as worker,
        node(environ=environ) as rest,
    ):
        _get(f"{worker.url}/setup")
        post(rest.run_url(DUMMY_NAME), body)
        arms: dict[str, Callable[[], Load]] = {
            name: lambda name=name: put_load(f"{worker.url}/{name}", [], 1, seconds)  # type: ignore[misc]
            for name in ("none", "kv", "d1", "ai")
        }
        arms["rest"] = lambda: put_load(rest.run_url(DUMMY_NAME), [body], 1, seconds)
        arms["put"] = lambda: put_load(f"{worker.url}/put", [], WRITERS, seconds)
        for arm in arms.values():
            arm()
        return _in_turns(arms, rounds)


def _store_puts(rounds: int, seconds: float) -> list[float]:
    """Acknowledged puts per second at the store, without any HTTP."""
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as folder:
        helper = Helper("bench.store_writes", folder)
        try:
            asked = [helper.ask(seconds=seconds, clients=WRITERS) for _ in range(rounds)]
        finally:
            helper.close()
    return [float(each["rate"]) for each in asked]


def _starts(project: Path, path: str, rounds: int) -> list[float]:
    """Seconds from the command to the first answer; the first start, which is not warm, apart."""
    took: list[float] = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        with node(str(project), "--no-standins", command="dev") as served:
            _get(f"{served.url}{path}")
            took.append(time.perf_counter() - begun)
    return took[1:]


def _reloads(rounds: int) -> dict[str, Any]:
    """A file that is saved again and again under a running load."""
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as folder:
        main = Path(folder) / "index.ts"
        main.write_text(_source(0))
        with node(str(main), command="dev") as served:
            _get(f"{served.url}/")
            steady = Steady(served.url)
            try:
                took = reloads(served.url, main, _source, rounds)
            finally:
                steady.end()
    return {"seconds": took, "requests": steady.requests, "failures": steady.failures}


def _source(version: int) -> str:
    return f'export default {{ fetch: (): Response => new Response("{version}") }};\n'


def _memory() -> dict[str, dict[str, int]]:
    """An idle node with one worker, after its first answers."""
    with node(str(PLAIN), command="dev") as served:
        for _ in range(10):
            _get(f"{served.url}/")
        time.sleep(3)
        return served.shares()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return bytes(answer.read())


def _suite(raw: dict[str, Any], rounds: int) -> dict[str, Any]:
    rates, calls = raw["rates"], raw["calls"]
    ratio = median(
        [ours.rate / bare.rate for ours, bare in zip(rates["node"], rates["bare"], strict=True)]
    )

    def more(arm: str, than: str) -> float:
        """ms that the p50 of an arm is above another's, in the median of the rounds."""
        pairs = zip(calls[arm], calls[than], strict=True)
        return 1e3 * median([one.p50 - other.p50 for one, other in pairs])

    ai, kv, d1 = more("ai", "rest"), more("kv", "none"), more("d1", "none")
    through, store = median([each.rate for each in calls["put"]]), median(raw["store_puts"])
    plain, model = median(raw["starts"]["plain"]), median(raw["starts"]["ai"])
    reload = median(raw["reloads"]["seconds"])
    slowest = max(raw["reloads"]["seconds"])
    failures = float(len(raw["reloads"]["failures"]))
    pss = sum(each["pss"] for each in raw["memory"].values()) / MB
    rss = sum(each["rss"] for each in raw["memory"].values()) / MB
    errors = float(
        sum(load.errors for arm in (rates, calls) for each in arm.values() for load in each)
    )
    rows: list[list[Any]] = [
        ["plain handler by the node", median([each.rate for each in rates["node"]]), "requests/s"],
        [
            "plain handler by bare workerd",
            median([each.rate for each in rates["bare"]]),
            "requests/s",
        ],
    ]
    names = {
        "none": "worker without a binding",
        "kv": "worker, one KV get",
        "d1": "worker, one D1 point query",
        "ai": "worker, one env.AI.run",
        "rest": "the same model by REST",
    }
    rows += [
        [f"{text}, p50", 1e3 * median([each.p50 for each in calls[arm]]), "ms"]
        for arm, text in names.items()
    ]
    rows += [
        [
            f"{WRITERS} clients of a worker that puts, p50",
            1e3 * median([each.p50 for each in calls["put"]]),
            "ms",
        ],
        ["slowest reload", slowest, "s"],
        ["requests during the reloads", float(raw["reloads"]["requests"]), ""],
        ["idle node + worker, RSS (shared pages count twice)", rss, "MB"],
    ]
    rows += [
        [f"of the PSS: {name}", each["pss"] / MB, "MB"] for name, each in raw["memory"].items()
    ]
    return {
        "title": "Workers",
        "about": "TypeScript on workerd through `skerry dev`, loopback. The plain handler:"
        f" {CONNECTIONS} connections of wrk, the same bundle by the node and by workerd alone, in"
        " turns. Bindings: one connection; the clock of a worker stands still, so a call is the"
        " request with it less the request without. REST is asked of a `skerry serve` of its own;"
        f" the model is the dummy engine. KV writes: {WRITERS} at a time, each acknowledged once it"
        " is synced to the disk; through a worker, and at the store itself. Start: from the"
        " command to the first answer, tools and models in their stores. Reload: from the saved"
        f" file to its answer, {2 * rounds} times, under 4 clients with kept connections.",
        "rows": rows,
        "checks": [
            ["plain handler, node / bare workerd", ratio, ">= 0.70", ratio >= 0.70],
            ["env.AI.run less REST, p50, ms", ai, "<= 1", ai <= 1],
            ["KV get, p50, ms", kv, "< 1", kv < 1],
            ["D1 point query, p50, ms", d1, "< 1.5", d1 < 1.5],
            ["KV writes/s by a worker", through, ">= 2000", through >= 2000],
            ["KV writes/s at the store", store, ">= 2000", store >= 2000],
            ["start to first answer, plain, s", plain, "< 2", plain < 2],
            ["start to first answer, env.AI on MiniLM, s", model, "< 2", model < 2],
            ["saved file to its answer, s", reload, "< 0.5", reload < 0.5],
            ["failed requests during reloads", failures, "0", not failures],
            ["idle node + worker, PSS, MB", pss, "< 250", pss < 250],
            ["failed requests", errors, "0", not errors],
        ],
        "raw": msgspec.to_builtins(raw),
    }
