"""Chat over HTTP against the bare engines, at 1 and at 8 streams."""

from __future__ import annotations

from typing import Any

from bench.report import median
from bench.serving import Helper, node
from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.inference.tune import Tuner
from skerry.settings import load
from skerry.tasks.samples import sentences

MODEL = "@skerry/smollm2-135m-instruct"
MOST = 64
ARMS = ("llamacpp", "genai", "skerry")
BARE = ARMS[:2]


def prompts(count: int, number: int) -> list[str]:
    """Prompts of this round; no two rounds share one, so that no cache answers."""
    texts = sentences("check")
    return [
        f"Round {number}, part {at}. Write a long story that begins with these words:"
        f" {texts[(number * 8 + at) % len(texts)]}"
        for at in range(count)
    ]


def run(rounds: int = 5, model: str = MODEL) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    choices = _choices(model)
    raw: dict[str, list[dict[str, Any]]] = {}
    with node("--no-pull") as served:
        helpers = {"skerry": Helper("bench.chat_client", served.run_url(model))}
        try:
            for arm in BARE:
                for slots in (1, 8):
                    helpers[f"{arm} {slots}"] = Helper("bench.bare_chat", arm, model, str(slots))
            for number in range(-1, rounds):  # the first round warms up
                for streams in (1, 8):
                    asked = prompts(4 if streams == 1 else 8, number + 2)
                    for stream in (False, True):
                        for arm in ARMS:
                            helper = helpers.get(f"{arm} {streams}") or helpers["skerry"]
                            told = [f"{text} ({stream})" for text in asked]
                            found = helper.ask(
                                prompts=told, most=MOST, stream=stream, at_once=streams
                            )
                            if number >= 0:
                                raw.setdefault(_name(arm, streams, stream), []).append(found)
            memory = served.memory()
        finally:
            for helper in helpers.values():
                helper.close()
    return _suite(raw, memory, choices, rounds, model)


def _choices(model: str) -> list[dict[str, Any]]:
    settings = load()
    entry = Catalog().get(model)
    files = open_store(settings).ready(entry)
    if files is None:
        raise SystemExit(f"{model} is not in the store: skerry models pull {model}")
    return [
        {"engine": choice.engine, "streams": choice.streams, "up_to": choice.up_to}
        for choice in Tuner(settings.models).choices(entry, files)
    ]


def _name(arm: str, streams: int, stream: bool) -> str:
    return f"{arm}, {streams} at once, {'streaming' if stream else 'whole'}"


def _suite(
    raw: dict[str, list[dict[str, Any]]],
    memory: dict[str, int],
    choices: list[dict[str, Any]],
    rounds: int,
    model: str,
) -> dict[str, Any]:
    rates = {name: [one["tokens"] / one["seconds"] for one in found] for name, found in raw.items()}
    firsts = {
        name: [1000 * median(one["firsts"]) for one in found]
        for name, found in raw.items()
        if found[0]["firsts"]
    }

    def ratio(streams: int, stream: bool, arms: tuple[str, ...]) -> float:
        mine = rates[_name("skerry", streams, stream)]
        others = [rates[_name(arm, streams, stream)] for arm in arms]
        best = max(others, key=median)
        return median([a / b for a, b in zip(mine, best, strict=True)])

    def later(streams: int, arm: str) -> float:
        mine, bare = firsts[_name("skerry", streams, True)], firsts[_name(arm, streams, True)]
        return median([a - b for a, b in zip(mine, bare, strict=True)])

    engine = choices[0]["engine"]
    checks: list[list[Any]] = []
    for stream in (False, True):
        how = "streaming" if stream else "whole answers"
        one, eight = ratio(1, stream, ("llamacpp",)), ratio(8, stream, BARE)
        checks.append([f"1 at once / bare xllamacpp, {how}", one, ">= 0.97", one >= 0.97])
        checks.append([f"8 at once / the faster engine, {how}", eight, ">= 0.97", eight >= 0.97])
    wait = later(1, engine)
    checks.append([f"first piece after bare {engine}'s, 1 at once, ms", wait, "<= 5", wait <= 5])
    return {
        "title": f"Chat: {model.rpartition('/')[2]} over HTTP",
        "about": f"{model}, up to {MOST} tokens an answer, the same prompts in every arm, no two"
        f" alike. Skerry runs {choices}. Ratios are medians of {rounds} rounds' own ratios.",
        "rows": [
            *([name, median(found), "tokens/s"] for name, found in rates.items()),
            *([f"{name}: first piece", median(found), "ms"] for name, found in firsts.items()),
            ["node, resident", memory["node"] / 1e6, "MB"],
            ["runner, resident", memory["runners"] / 1e6, "MB"],
        ],
        "checks": checks,
        "raw": {"rounds": raw, "choices": choices, "memory": memory},
    }
