"""What Skerry itself costs: a request that does no work, an idle node, a first answer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.load import put_load
from bench.report import median
from bench.serving import node, post

DUMMY = """\
name = "@skerry/bench-dummy"
task = "text-generation"
description = "Answers with the prompt, without weights."
licence = "Apache-2.0"
engines = ["dummy"]
"""
MINILM = "@skerry/minilm-l6-v2"


def run(rounds: int = 5, seconds: float = 3.0) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as folder:
        (Path(folder) / "dummy.toml").write_text(DUMMY)
        environ = {"SKERRY_CATALOG": folder, "SKERRY_MODELS": f"{folder}/models"}
        with node(environ=environ) as served:
            time.sleep(1)
            idle = served.memory()
            url = served.run_url("@skerry/bench-dummy")
            body: dict[str, object] = {"prompt": "hello"}
            post(url, body)
            put_load(url, [body], 1, 1)
            loads = [put_load(url, [body], 1, seconds) for _ in range(rounds)]
    colds = [_first_answer() for _ in range(rounds)]
    imports = [_import_time() for _ in range(rounds)]
    p50 = 1000 * median([load.p50 for load in loads])
    p99 = 1000 * median([load.p99 for load in loads])
    resident = (idle["node"] + idle["runners"]) / 1e6
    cold = median(colds)
    errors = sum(load.errors for load in loads)
    return {
        "title": "Overhead",
        "about": "The dummy engine answers at once in its runner process: what is left is HTTP, the"
        " steps of a request, and the way to the runner and back; loopback, one connection, one"
        " request after the other. First answer: a running node with no model resident is asked"
        " for a MiniLM embedding; the weights are in the store and in the page cache."
        f" {errors} failed requests.",
        "rows": [
            ["requests, one connection", median([load.rate for load in loads]), "requests/s"],
            ["import skerry", median(imports), "ms"],
        ],
        "checks": [
            ["p50, ms", p50, "< 0.5", p50 < 0.5],
            ["p99, ms", p99, "< 2", p99 < 2],
            ["node with no model resident, MB", resident, "< 120", resident < 120],
            ["MiniLM's first answer, s", cold, "< 1", cold < 1],
            ["failed requests", float(errors), "0", errors == 0],
        ],
        "raw": {
            "loads": [msgspec.to_builtins(load) for load in loads],
            "idle": idle,
            "first_answer": colds,
            "import_ms": imports,
        },
    }


def _first_answer() -> float:
    with node("--no-pull") as served:
        start = time.perf_counter()
        post(served.run_url(MINILM), {"text": "hello"})
        return time.perf_counter() - start


def _import_time() -> float:
    code = "import time; s = time.perf_counter(); import skerry; print(time.perf_counter() - s)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return 1000 * float(done.stdout)
