"""Property listings, analysed by local models: what a worker would ask of `env.AI`.

Asks for published names; on a machine without those weights small packaged models stand in, and
the last column says so. Run it with `make demo`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from skerry.cli.answers import bar
from skerry.cli.progress import PullBars
from skerry.errors import AiError
from skerry.node import Node
from skerry.settings import load
from skerry.types import Answer, InferenceRequest

HERE = Path(__file__).parent
SENTIMENT = "@cf/huggingface/distilbert-sst-2-int8"
CHAT = "@cf/meta/llama-2-7b-chat-int8"
EMBED = "@cf/baai/bge-small-en-v1.5"
VISION = "@cf/microsoft/resnet-50"
SMALL = "@skerry/smollm2-135m-instruct"
WAIT = 3600.0
"""Seconds that the demo waits for a first pull."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amenities": {
            "type": "array",
            "items": {"type": "string", "maxLength": 24},
            "maxItems": 5,
        },
    },
    "required": ["amenities"],
    "additionalProperties": False,
}
ASK = "Name the amenities that the sentence offers to guests, as JSON. A sentence may offer none."
SHOTS: list[tuple[str, list[str]]] = [
    ("Mill Cottage is a white farmhouse in a valley, an hour from the sea.", []),
    (
        "It has a garden with apple trees, a fireplace and a garage for two cars.",
        ["garden", "fireplace", "garage"],
    ),
    ("Sadly there is no television and no dishwasher.", []),
    ("Guests may use the sauna and the bicycles.", ["sauna", "bicycles"]),
]
"""What is wanted, shown on another listing: a small model learns more from it than from words."""
REMARK = (
    "[dim]Amenities by the packaged chat model of 135 million parameters: it misses some. A better"
    " one (491 MB): demo.py --chat @skerry/qwen2.5-coder-0.5b-instruct[/]"
)


class Analyst:
    """Asks the models and keeps what each answer cost."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.answered: set[str] = set()
        self.times = Table("asked for", "what", "run", "answered by", box=None, header_style="bold")

    async def ask(self, what: str, model: str, inputs: dict[str, Any]) -> Any:
        """The model's answer. Raises AiError."""
        [value] = await self.ask_all(what, model, [inputs])
        return value

    async def ask_all(self, what: str, model: str, asked: list[dict[str, Any]]) -> list[Any]:
        """The answers to several inputs, one by one: each reads only what is new in its prompt."""
        answers = [await self._run(model, inputs) for inputs in asked]
        took = sum(answer.timing.run for answer in answers)
        self.answered.add(answers[0].model)
        standin = answers[0].standin_for is not None
        answered = f"[yellow]{answers[0].model}[/]" if standin else "itself"
        many = f"{what} x {len(asked)}" if len(asked) > 1 else what
        self.times.add_row(model, many, f"{1000 * took:.0f} ms", answered)
        return [answer.value for answer in answers]

    async def _run(self, model: str, inputs: dict[str, Any]) -> Answer:
        request = InferenceRequest(model=model, inputs=inputs, id=uuid.uuid4().hex)
        answer = await self._node.ai.run(request)
        assert isinstance(answer, Answer)
        return answer


async def main(texts: dict[str, str], image: bytes, *, chat: str, offline: bool) -> None:
    """Run the analysis and print it."""
    console = Console()
    settings = load(standins=True, offline=offline or None, pull_wait=WAIT, timeout=WAIT)
    bars = PullBars()
    async with Node(settings, on_pull=bars) as node:
        ai = Analyst(node)
        with bars:
            panels = [await listing(ai, chat, name, text) for name, text in texts.items()]
            photo = await look(ai, image)
            alike = await similarity(ai, list(texts.values()))
    for panel in panels:
        console.print(panel)
    console.print(photo)
    console.print(
        Panel(f"{bar(alike)} {alike:.2f}", title="How alike the two listings are (cosine)")
    )
    console.print(Panel(ai.times, title="What ran on this machine (first runs included)"))
    if SMALL in ai.answered:
        console.print(REMARK)


def messages(sentence: str) -> list[dict[str, str]]:
    """The question, after the examples."""
    told = [{"role": "system", "content": ASK}]
    for shown, amenities in SHOTS:
        said = json.dumps({"amenities": amenities})
        told += [{"role": "user", "content": shown}, {"role": "assistant", "content": said}]
    return [*told, {"role": "user", "content": sentence}]


def is_said(amenity: str, sentence: str) -> bool:
    """Whether every word of the amenity stands in the sentence, in singular or plural."""

    def words(text: str) -> set[str]:
        return {word.removesuffix("s") for word in re.findall(r"[a-z]+", text.lower())}

    wanted = words(amenity)
    return bool(wanted) and wanted <= words(sentence)


async def amenities(ai: Analyst, chat: str, text: str) -> tuple[list[str], list[str]]:
    """(what the model found and the text says, what it made up), asked sentence by sentence.

    Raises jsonschema_rs.ValidationError where an answer does not keep to the schema.
    """
    sentences = re.split(r"(?<=[.;])\s+", " ".join(text.split()))
    asked = [
        {
            "messages": messages(sentence),
            "response_format": {"type": "json_schema", "json_schema": SCHEMA},
            "temperature": 0,
            "max_tokens": 80,
        }
        for sentence in sentences
    ]
    answers = await ai.ask_all("amenities", chat, asked)
    found: dict[str, bool] = {}
    for sentence, answer in zip(sentences, answers, strict=True):
        jsonschema_rs.validate(SCHEMA, answer["response"])
        for each in answer["response"]["amenities"]:
            name = each.strip().lower()
            found[name] = found.get(name, False) or is_said(name, sentence)
    return [each for each in found if found[each]], [each for each in found if not found[each]]


async def listing(ai: Analyst, chat: str, name: str, text: str) -> Panel:
    """Sentiment, and amenities as JSON that is checked against the schema and the text."""
    mood = await ai.ask("sentiment", SENTIMENT, {"text": text})
    said, made_up = await amenities(ai, chat, text)
    best = max(mood, key=lambda each: float(each["score"]))
    lines = Table.grid(padding=(0, 2))
    lines.add_row(
        "sentiment", f"{best['label'].lower()} {bar(best['score'], 12)} {best['score']:.2f}"
    )
    lines.add_row("amenities", escape(", ".join(said) or "none found"))
    if made_up:
        lines.add_row("", f"[dim]left out, not in the text: {escape(', '.join(made_up))}[/]")
    return Panel(Group(" ".join(text.split()), "", lines), title=name)


async def look(ai: Analyst, photo: bytes) -> Panel:
    """What the photo shows."""
    labels = await ai.ask("photo", VISION, {"image": photo})
    rows = Table.grid(padding=(0, 2))
    for each in labels[:4]:
        rows.add_row(each["label"], f"{100 * each['score']:.0f} %", bar(each["score"]))
    return Panel(rows, title="The photo shows")


async def similarity(ai: Analyst, texts: list[str]) -> float:
    """Cosine of the texts' embeddings, -1 … 1."""
    answer = await ai.ask("embeddings", EMBED, {"text": texts})
    one, two = np.asarray(answer["data"], dtype=np.float32)
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chat", default=CHAT, help="the chat model (default: %(default)s)")
    parser.add_argument("--offline", action="store_true", help="close the network")
    chosen = parser.parse_args()
    listings = {
        "North Gate House": (HERE / "north-gate.txt").read_text(),
        "Willow Court": (HERE / "willow-court.txt").read_text(),
    }
    image = (HERE / "photo.jpg").read_bytes()
    try:
        asyncio.run(main(listings, image, chat=chosen.chat, offline=chosen.offline))
    except* (AiError, jsonschema_rs.ValidationError) as failed:
        for each in failed.exceptions:
            sys.stderr.write(f"The demo failed: {each}\n")
        sys.exit(1)
