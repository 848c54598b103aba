"""Property listings, analysed by local models: what a worker would ask of `env.AI`.

Asks for published names; on a machine without those weights small packaged models stand in, and
the last column says so. Run it with `make demo`.
"""

from __future__ import annotations

import argparse
import asyncio
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
from skerry.node import Node
from skerry.settings import load
from skerry.types import Answer, InferenceRequest

HERE = Path(__file__).parent
SENTIMENT = "@cf/huggingface/distilbert-sst-2-int8"
CHAT = "@cf/meta/llama-2-7b-chat-int8"
EMBED = "@cf/baai/bge-small-en-v1.5"
VISION = "@cf/microsoft/resnet-50"
WAIT = 3600.0
"""Seconds that the demo waits for a first pull."""

AMENITIES = ["wifi", "kitchen", "washing machine", "heating", "terrace", "parking", "pets", "pool"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amenities": {
            "type": "array",
            "items": {"type": "string", "enum": AMENITIES},
            "minItems": 1,
            "maxItems": 8,
        },
    },
    "required": ["amenities"],
    "additionalProperties": False,
}
REMARK = (
    "[dim]The packaged chat model has 135 million parameters and misses some amenities. A better"
    " one (491 MB): demo.py --chat @skerry/qwen2.5-coder-0.5b-instruct[/]"
)
ASK = "List the amenities that this property listing offers, as JSON.\n\n"


class Analyst:
    """Asks the models and keeps what each answer cost."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.times = Table("asked for", "what", "run", "answered by", box=None, header_style="bold")

    async def ask(self, what: str, model: str, inputs: dict[str, Any]) -> Any:
        """The model's answer."""
        request = InferenceRequest(model=model, inputs=inputs, id=uuid.uuid4().hex)
        answer = await self._node.ai.run(request)
        assert isinstance(answer, Answer)
        answered = "itself" if answer.standin_for is None else f"[yellow]{answer.model}[/]"
        self.times.add_row(model, what, f"{1000 * answer.timing.run:.0f} ms", answered)
        return answer.value


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
    console.print(REMARK)


def amenities_of(answer: Any) -> str:
    """The amenities; says so where the answer does not keep to the schema."""
    try:
        jsonschema_rs.validate(SCHEMA, answer)
    except jsonschema_rs.ValidationError as error:
        return f"[red]not an answer of the schema:[/] {escape(error.message[:100])}"
    return ", ".join(dict.fromkeys(answer["amenities"]))


async def listing(ai: Analyst, chat: str, name: str, text: str) -> Panel:
    """Sentiment, and amenities as JSON that is checked against the schema."""
    mood = await ai.ask("sentiment", SENTIMENT, {"text": text})
    found = await ai.ask(
        "amenities",
        chat,
        {
            "messages": [{"role": "user", "content": ASK + text}],
            "response_format": {"type": "json_schema", "json_schema": SCHEMA},
            "temperature": 0,
            "max_tokens": 100,
        },
    )
    best = max(mood, key=lambda each: float(each["score"]))
    lines = Table.grid(padding=(0, 2))
    lines.add_row(
        "sentiment", f"{best['label'].lower()} {bar(best['score'], 12)} {best['score']:.2f}"
    )
    lines.add_row("amenities", amenities_of(found["response"]))
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
    asyncio.run(main(listings, image, chat=chosen.chat, offline=chosen.offline))
