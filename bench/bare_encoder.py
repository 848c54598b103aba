"""The bare engine: the tuned choice in a loop at batch 8, one thread per stream, nothing else.

Texts are tokenised and stacked beforehand; results are dropped.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from bench.serving import serve_lines
from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.engines.base import TensorEngine
from skerry.engines.registry import load_engine
from skerry.inference.tune import Tuner
from skerry.settings import load
from skerry.tasks.base import RowProcessor
from skerry.tasks.registry import load_tasks
from skerry.tasks.samples import sentences

BATCH = 8


def main(model: str) -> None:
    settings = load()
    entry = Catalog().get(model)
    files = open_store(settings).ready(entry)
    if files is None:
        raise SystemExit(f"{model} is not in the store: skerry models pull {model}")
    choice = Tuner(settings.models).choices(entry, files)[0]
    engine = load_engine(choice.engine).load(files, choice)
    processor = load_tasks()[entry.task].open(files)
    assert isinstance(engine, TensorEngine)
    assert isinstance(processor, RowProcessor)
    texts = sentences("check")
    rows = sorted(
        (processor.prepare({"text": text})[0] for text in texts), key=lambda row: row.length
    )
    feeds = [processor.collate(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]
    sizes = [len(rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]
    streams = engine.capacity

    def loop(stream: int, until: float, done: list[int]) -> None:
        at = stream * len(feeds) // streams
        while time.perf_counter() < until:
            engine.infer(feeds[at % len(feeds)], stream)
            done[stream] += sizes[at % len(feeds)]
            at += 1

    def measure(seconds: float) -> dict[str, Any]:
        done = [0] * streams
        start = time.perf_counter()
        threads = [
            threading.Thread(target=loop, args=(stream, start + seconds, done))
            for stream in range(streams)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"rate": sum(done) / (time.perf_counter() - start)}

    measure(1.0)
    tokens = sum(row.length for row in rows) / len(rows)
    serve_lines(
        lambda question: measure(question["seconds"]),
        {
            "engine": choice.engine,
            "precision": choice.precision,
            "streams": streams,
            "tokens": tokens,
        },
    )


if __name__ == "__main__":
    main(sys.argv[1])
