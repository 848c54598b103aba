"""Quality of the starter models, each on data that it was not made with: `make bench-quality`.

What was measured when the models were packaged is the bound: within one point of it.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import Any

import numpy as np

import skerry
from bench.chat_quality import chat
from bench.held_out import DOMAINS, errors, seconds, sentiment, speech, words
from bench.report import ROOT, show, write
from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.engines.base import Choice, TensorEngine
from skerry.engines.registry import load_engine
from skerry.inference.tune import Tuner
from skerry.inference.tune_accuracy import results
from skerry.settings import load
from skerry.tasks.base import Array, RowProcessor
from skerry.tasks.registry import load_tasks

PAGE = ROOT / "docs" / "models.md"
BEGIN = "<!-- quality: written by `make bench-quality`; do not edit -->"
END = "<!-- end of quality -->"
SENTIMENT = {"movie": 85.9, "amazon": 87.4, "tweets": 95.4, "nyt": 85.7}
"""Accuracy of the fp32 model when it was packaged, %."""
WER = {"@skerry/whisper-tiny-en": 4.2, "@skerry/whisper-base": 1.4}
LABELS = {
    "chelsea.png": ("tabby", "tiger cat", "egyptian cat"),
    "coffee.png": ("espresso",),
    "camera.png": ("tripod",),
    "rocket.jpg": ("missile", "projectile"),
}
OBJECTS = {
    "chelsea.png": "cat",
    "coffee.png": "cup",
    "astronaut.png": "person",
    "horse.png": "horse",
    "motorcycle_left.png": "motorcycle",
}
SAID = "The harbour is quiet tonight, and the last ferry leaves at nine."


class Findings:
    """Rows for the page, checks, and raw figures."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.checks: list[list[Any]] = []
        self.raw: dict[str, Any] = {}

    def row(self, what: str, figure: float | str, unit: str) -> None:
        self.rows.append([what, figure, unit])

    def check(self, what: str, figure: float, bound: str, holds: bool) -> None:
        self.row(what, figure, bound)
        self.checks.append([what, figure, bound, holds])


async def judge_sentiment(ai: skerry.AI, out: Findings) -> None:
    """minilm-sst2 as it is served, on four kinds of text."""
    turn = asyncio.Semaphore(32)

    async def positive(text: str) -> bool:
        async with turn:
            found = await ai.run("@skerry/minilm-sst2", {"text": text})
        return str(max(found, key=lambda one: one["score"])["label"]) == "POSITIVE"

    for domain in DOMAINS:
        held = sentiment(domain)
        said = await asyncio.gather(*(positive(text) for text, _ in held))
        right = [one == wanted for one, (_, wanted) in zip(said, held, strict=True)]
        share = 100 * sum(right) / len(right)
        least = SENTIMENT[domain] - 1
        what = f"minilm-sst2, {domain}, {len(held)} sentences: right, %"
        out.check(what, share, f">= {least:.1f}", share >= least)
        out.raw[f"sentiment {domain}"] = {"right": sum(right), "of": len(right)}


def judge_encoders(out: Findings) -> None:
    """The tuned choice against fp32, on sentences that tuning did not see."""
    texts = [text for domain in ("movie", "nyt", "amazon") for text, _ in sentiment(domain)[:60]]
    for name in ("@skerry/minilm-l6-v2", "@skerry/mpnet-base-v2"):
        settings = load()
        entry = Catalog().get(name)
        files = open_store(settings).ready(entry)
        if files is None:
            raise SystemExit(f"{name} is not in the store: skerry models pull {name}")
        tuned = Tuner(settings.models).choices(entry, files)[0]
        exact = Choice(engine=tuned.engine, options=tuned.options)
        both: list[Array] = []
        for choice in (exact, tuned):
            engine = load_engine(choice.engine).load(files, choice)
            processor = load_tasks()[entry.task].open(files)
            assert isinstance(engine, TensorEngine)
            assert isinstance(processor, RowProcessor)
            vectors, _ = results(processor, engine, [{"text": text} for text in texts])
            both.append(vectors)
            engine.close()
        right, found = both
        cosine = (right * found).sum(1)
        near = [_nearest(vectors) for vectors in both]
        overlap = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
        label = f"{entry.name.rpartition('/')[2]} as tuned ({tuned.engine} {tuned.precision})"
        mean = float(cosine.mean())
        out.check(f"{label}: mean cosine to fp32", mean, ">= 0.995", mean >= 0.995)
        out.row(f"{label}: least cosine", f"{cosine.min():.4f}", "")
        out.row(f"{label}: of the ten nearest, the same", 100 * float(np.mean(overlap)), "%")
        out.raw[name] = {"cosine": cosine.tolist(), "overlap": overlap, "choice": tuned.precision}


def _nearest(vectors: Array) -> Array:
    likeness = vectors @ vectors.T - 9 * np.eye(len(vectors))
    return likeness.argsort(1)[:, -10:]


async def judge_speech(ai: skerry.AI, out: Findings) -> None:
    """Whisper on LibriVox clips, then on what hibari says."""
    clips = speech()
    if not clips:
        out.row("whisper", "not measured: no Debian package pocketsphinx-testdata here", "")
    for model, before in WER.items():
        wrong = count = 0
        length = sum(seconds(sound) for sound, _ in clips)
        start = asyncio.get_running_loop().time()
        for sound, right in clips:
            heard = await ai.run(model, {"audio": sound})
            wrong += errors(words(right), words(heard["text"]))
            count += len(words(right))
        took = asyncio.get_running_loop().time() - start
        if not count:
            continue
        rate = 100 * wrong / count
        label = model.rpartition("/")[2]
        what = f"{label}, {len(clips)} LibriVox clips, {count} words: wrong, %"
        out.check(what, rate, f"<= {before + 1:.1f}", rate <= before + 1)
        out.row(f"{label}: seconds of work for a second of sound", took / length, "")
        out.raw[model] = {"wrong": wrong, "words": count, "took": took, "sound": length}
    spoken = await ai.run("@skerry/hibari-tts", {"prompt": SAID, "encoding": "wav"})
    audio = spoken["audio"] if isinstance(spoken, dict) else spoken
    sound = base64.b64decode(audio) if isinstance(audio, str) else bytes(audio)
    heard = await ai.run("@skerry/whisper-base", {"audio": sound})
    wrong = errors(words(SAID), words(heard["text"]))
    rate = 100 * wrong / len(words(SAID))
    out.check("hibari-tts heard by whisper-base: words wrong, %", rate, "<= 25", rate <= 25)
    out.raw["tts"] = {"said": SAID, "heard": heard["text"]}


async def judge_vision(ai: skerry.AI, out: Findings) -> None:
    """EfficientNet and NanoDet on scikit-image's photos."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    right = []
    for name, wanted in LABELS.items():
        image = (folder / name).read_bytes()
        found = await ai.run("@skerry/efficientnet-lite0", {"image": image})
        top = [str(one["label"]).lower() for one in found[:5]]
        right.append(any(word in label for word in wanted for label in top))
        out.raw[f"efficientnet {name}"] = found[:5]
    what = f"efficientnet-lite0: right label among the first five, of {len(LABELS)} photos"
    out.check(what, sum(right), f"{len(LABELS)}", all(right))
    right = []
    for name, thing in OBJECTS.items():
        image = (folder / name).read_bytes()
        found = await ai.run("@skerry/nanodet", {"image": image})
        right.append(any(one["label"] == thing and one["score"] > 0.35 for one in found))
        out.raw[f"nanodet {name}"] = found[:5]
    what = f"nanodet: the main thing found, of {len(OBJECTS)} photos"
    out.check(what, sum(right), f">= {len(OBJECTS) - 1}", sum(right) >= len(OBJECTS) - 1)


async def judge(only: list[str]) -> Findings:
    """All of it, or what is named: sentiment, encoders, speech, vision, chat."""
    out = Findings()
    async with skerry.AI() as ai:
        if not only or "sentiment" in only:
            await judge_sentiment(ai, out)
        if not only or "speech" in only:
            await judge_speech(ai, out)
        if not only or "vision" in only:
            await judge_vision(ai, out)
        if not only or "chat" in only:
            for what, figure, bound, holds, raw in await chat(ai):
                if bound:
                    out.check(what, figure, bound, holds)
                else:
                    out.row(what, figure, "no bound")
                out.raw[what] = raw
    if not only or "encoders" in only:
        await asyncio.to_thread(judge_encoders, out)
    return out


def run(only: list[str] | None = None) -> dict[str, Any]:
    """The suite; see bench/README.md."""
    found = asyncio.run(judge(only or []))
    return {
        "title": "Quality of the starter models",
        "about": "Each model as this machine serves it.",
        "rows": found.rows,
        "checks": found.checks,
        "raw": found.raw,
    }


def block(suite: dict[str, Any]) -> str:
    """The section of docs/models.md."""
    held = {what: holds for what, _, _, holds in suite["checks"]}
    lines = [
        BEGIN,
        "",
        "| what | measured | bound |",
        "|---|---:|---|",
    ]
    for what, figure, bound in suite["rows"]:
        shown = figure if isinstance(figure, str) else f"{figure:.4g}"
        missed = "" if held.get(what, True) else " **(missed)**"
        lines.append(f"| {what} | {shown} | {bound}{missed} |")
    return "\n".join([*lines, "", END])


def write_page(suite: dict[str, Any]) -> None:
    """Put the block into docs/models.md, in the place of the last one."""
    text = PAGE.read_text()
    if BEGIN in text:
        head, _, rest = text.partition(BEGIN)
        text = head + block(suite) + rest.partition(END)[2]
    else:
        text = text.rstrip() + "\n\n## Quality\n\n" + block(suite) + "\n"
    PAGE.write_text(text)


def main(only: list[str]) -> int:
    """Measure, print and, where everything was measured, keep."""
    suite = run(only)
    show(suite)
    if not only:
        write("quality", suite)
        write_page(suite)
    return 1 if any(not holds for *_, holds in suite["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
