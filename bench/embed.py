"""Embeddings over HTTP against the bare engine and against a plain handler."""

from __future__ import annotations

from typing import Any

from bench.load import put_load
from bench.report import median
from bench.serving import Helper, node, post
from skerry.tasks.samples import sentences

MODEL = "@skerry/minilm-l6-v2"
CONNECTIONS = 32


def run(rounds: int = 5, seconds: float = 4.0) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    bodies: list[dict[str, object]] = [{"text": text} for text in sentences("check")]
    bare_rates: list[float] = []
    loads: dict[str, list[Any]] = {"node": [], "plain": []}
    with node("--no-pull") as served:
        url = served.run_url(MODEL)
        post(url, {"text": "warm"})
        bare, plain = Helper("bench.bare_encoder", MODEL), Helper("bench.plain_encoder", MODEL)
        try:
            urls = {"node": url, "plain": f"http://127.0.0.1:{plain.ready['port']}/"}
            for each in urls.values():
                put_load(each, bodies, CONNECTIONS, 2)
            for _ in range(rounds):
                bare_rates.append(bare.ask(seconds=seconds)["rate"])
                for name, each in urls.items():
                    loads[name].append(put_load(each, bodies, CONNECTIONS, seconds))
            memory = served.memory()
        finally:
            bare.close()
            plain.close()
    errors = sum(load.errors for found in loads.values() for load in found)
    bare_rate = median(bare_rates)
    rate = {name: median([load.rate for load in found]) for name, found in loads.items()}
    p50 = 1000 * median([load.p50 for load in loads["node"]])
    p99 = 1000 * median([load.p99 for load in loads["node"]])
    total = (memory["node"] + memory["runners"]) / 1e6
    to_bare = median([load.rate / one for load, one in zip(loads["node"], bare_rates, strict=True)])
    to_plain = median([a.rate / b.rate for a, b in zip(loads["node"], loads["plain"], strict=True)])
    how = bare.ready
    label = f"{how['engine']} {how['precision']}, {how['streams']} streams"
    return {
        "title": "Embeddings: MiniLM over HTTP",
        "about": f"{MODEL}, {CONNECTIONS} connections, texts of {how['tokens']:.1f} tokens in the"
        f" mean; {label}. The bare engine runs sorted batches of 8 that were tokenised before;"
        " the plain handler is aiohttp with onnxruntime fp32, one request at a time. Ratios are"
        f" medians of {rounds} rounds' own ratios. {errors} failed requests.",
        "rows": [
            ["bare engine, batches of 8", bare_rate, "texts/s"],
            ["Skerry over HTTP", rate["node"], "texts/s"],
            ["plain aiohttp + onnxruntime", rate["plain"], "texts/s"],
            ["Skerry p50", p50, "ms"],
            ["Skerry p99", p99, "ms"],
            ["node, resident", memory["node"] / 1e6, "MB"],
            ["runner, resident", memory["runners"] / 1e6, "MB"],
        ],
        "checks": [
            ["Skerry / bare engine", to_bare, ">= 0.76", to_bare >= 0.76],
            ["Skerry / plain handler", to_plain, ">= 4", to_plain >= 4],
            ["p99, ms", p99, "< 45", p99 < 45],
            ["node + runner, MB", total, "< 400", total < 400],
            ["failed requests", float(errors), "0", errors == 0],
        ],
        "raw": {
            "bare": bare_rates,
            "choice": how,
            "memory": memory,
            **{
                name: [{**_plain(load), "rate": load.rate} for load in found]
                for name, found in loads.items()
            },
        },
    }


def _plain(load: Any) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(load)
    return found
