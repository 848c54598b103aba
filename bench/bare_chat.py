"""The bare chat engines: xllamacpp's Server object, or OpenVINO GenAI's continuous batching.

`python -m bench.bare_chat llamacpp|genai MODEL SLOTS`, spoken to by `bench.serving.Helper`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.serving import serve_lines
from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.settings import load

Ask = Callable[[str, int, bool], tuple[int, float | None]]
"""(prompt, most tokens, streaming) -> (tokens, seconds to the first piece)."""


def llamacpp(path: str, slots: int) -> Ask:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_parallel = slots
    params.n_ctx = 2048 * slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def ask(prompt: str, most: int, stream: bool) -> tuple[int, float | None]:
        body: dict[str, Any] = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": most,
            "temperature": 0.0,
        }
        start = time.perf_counter()
        if not stream:
            answer = server.handle_chat_completions(body)
            return int(answer["usage"]["completion_tokens"]), None
        first: list[float] = []
        usage: list[int] = []

        def hear(chunk: dict[str, Any]) -> bool:
            if not first and chunk.get("choices") and chunk["choices"][0]["delta"].get("content"):
                first.append(time.perf_counter() - start)
            if chunk.get("usage"):
                usage.append(int(chunk["usage"]["completion_tokens"]))
            return False

        body |= {"stream": True, "stream_options": {"include_usage": True}}
        server.handle_chat_completions(body, hear)
        return usage[-1], first[0]

    return ask


def genai(path: str, slots: int) -> Ask:
    import openvino_genai as library

    scheduler = library.SchedulerConfig()
    scheduler.num_kv_blocks = 2048 * slots // 32
    scheduler.max_num_seqs = slots
    scheduler.max_num_batched_tokens = 512
    scheduler.enable_prefix_caching = True
    pipeline = library.ContinuousBatchingPipeline(path, scheduler, "CPU", {})
    tokenizer = pipeline.get_tokenizer()
    numbers = iter(range(1 << 62))
    calls: dict[int, tuple[Any, queue.SimpleQueue[tuple[list[int], bool]]]] = {}
    work = threading.Condition()

    def step() -> None:
        while True:
            with work:
                work.wait_for(lambda: bool(calls))
            pipeline.step()
            for number, (handle, heard) in list(calls.items()):
                ended = handle.get_status() != library.GenerationStatus.RUNNING
                tokens: list[int] = []
                while handle.can_read():
                    for output in handle.read().values():
                        tokens += output.generated_ids
                if ended:
                    del calls[number]
                if tokens or ended:
                    heard.put((tokens, ended))

    threading.Thread(target=step, daemon=True).start()

    def ask(prompt: str, most: int, stream: bool) -> tuple[int, float | None]:
        config = library.GenerationConfig()
        config.max_new_tokens = most
        config.do_sample = False
        config.apply_chat_template = False
        config.stop_token_ids = pipeline.get_config().stop_token_ids
        start = time.perf_counter()
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], True)
        ids = tokenizer.encode(text, add_special_tokens=False).input_ids
        heard: queue.SimpleQueue[tuple[list[int], bool]] = queue.SimpleQueue()
        with work:
            number = next(numbers)
            calls[number] = (pipeline.add_request(number, ids, config), heard)
            work.notify()
        tokens: list[int] = []
        first: float | None = None
        ended = False
        while not ended:
            new, ended = heard.get()
            tokens += new
            if stream:
                tokenizer.decode(tokens[-8:])
                first = first or time.perf_counter() - start
        tokenizer.decode(tokens)
        return len(tokens), first

    return ask


def main(engine: str, model: str, slots: int) -> None:
    files = open_store(load()).ready(Catalog().get(model))
    if files is None:
        raise SystemExit(f"{model} is not in the store: skerry models pull {model}")
    ask = {"llamacpp": llamacpp, "genai": genai}[engine](str(files.path("model.gguf")), slots)

    def measure(question: dict[str, Any]) -> dict[str, Any]:
        return drive(ask, **question)

    ask("Say hello.", 8, True)
    serve_lines(measure, {"engine": engine, "slots": slots})


def drive(ask: Ask, prompts: list[str], most: int, stream: bool, at_once: int) -> dict[str, Any]:
    """All prompts, `at_once` under way: tokens, seconds, and the times to first pieces."""
    left = list(reversed(prompts))
    made: list[int] = []
    firsts: list[float] = []
    errors: list[BaseException] = []
    lock = threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                if not left or errors:
                    return
                prompt = left.pop()
            try:
                tokens, first = ask(prompt, most, stream)
            except BaseException as error:  # raised again below
                errors.append(error)
                return
            made.append(tokens)
            if first is not None:
                firsts.append(first)

    start = time.perf_counter()
    threads = [threading.Thread(target=loop) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return {"tokens": sum(made), "seconds": time.perf_counter() - start, "firsts": firsts}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
