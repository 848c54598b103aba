"""skerry run."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import inputs, options
from skerry.cli.output import err, out, print_json
from skerry.errors import NoSuchModel
from skerry.types import InferenceRequest, Inputs, new_id

if TYPE_CHECKING:
    from skerry.settings import Settings

WAIT = 24 * 3600.0
"""Seconds that the terminal waits for a pull; Ctrl-C ends it sooner."""

Words = Annotated[
    list[str] | None,
    typer.Argument(help="The text; - for stdin, @file for a file.", metavar="[TEXT]..."),
]
MoreText = Annotated[
    list[str] | None,
    typer.Option("--text", "--prompt", help="A text; several embed several.", show_default=False),
]
System = Annotated[str | None, typer.Option(help="The system message.", show_default=False)]
Image = Annotated[Path | None, typer.Option(help="An image file.", show_default=False)]
Audio = Annotated[Path | None, typer.Option(help="A sound file.", show_default=False)]
RawInput = Annotated[
    str | None,
    typer.Option("--input", help="The whole input as JSON, or @file.", show_default=False),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", help="One more field, key=value.", show_default=False),
]
Stream = Annotated[
    bool | None,
    typer.Option("--stream/--no-stream", help="Print text as it comes.", show_default="on a text"),
]
OutFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="Where sound goes.", show_default=False)
]
Url = Annotated[
    str | None,
    typer.Option(
        help="Ask this running node instead of running the model here.",
        envvar="SKERRY_URL",
        show_default=False,
    ),
]
Standins = Annotated[
    bool, typer.Option("--standins", help="Let a small packaged model answer in its place.")
]


def run(
    model: options.Model,
    words: Words = None,
    *,
    text: MoreText = None,
    system: System = None,
    image: Image = None,
    audio: Audio = None,
    raw: RawInput = None,
    param: Params = None,
    stream: Stream = None,
    out: OutFile = None,
    url: Url = None,
    standins: Standins = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Run a model once and print its answer; `--json` prints the raw one.

    Examples:

    `skerry run @skerry/smollm2-135m-instruct "Name three birds"`

    `skerry run @skerry/minilm-sst2 "A lovely, quiet flat."`

    `skerry run @skerry/efficientnet-lite0 --image cat.jpg`

    `skerry run @skerry/whisper-tiny-en --audio speech.wav`

    `skerry run @skerry/hibari-tts "Good morning" --out morning.wav`
    """
    spoken = [" ".join(words)] if words else []
    texts = [inputs.read_text(each) for each in [*spoken, *(text or [])]]
    asked = Asked(
        model=model,
        texts=texts,
        system=system,
        image=image,
        audio=audio,
        given=inputs.parse_input(raw) if raw else {},
        params=inputs.parse_params(param or []),
        stream=not json if stream is None else stream,
        out=out,
        json=json,
    )
    settings = options.settings(
        config,
        data_dir,
        offline=offline,
        standins=standins or None,
        pull_wait=WAIT,
        timeout=WAIT,
    )
    asyncio.run(_remote(url, settings, asked) if url else _local(settings, asked))


class Asked:
    """What the command line asked for."""

    def __init__(
        self,
        *,
        model: str,
        texts: list[str],
        system: str | None,
        image: Path | None,
        audio: Path | None,
        given: Inputs,
        params: Inputs,
        stream: bool,
        out: Path | None,
        json: bool,
    ) -> None:
        self.model = model
        self.stream = stream
        self.out = out
        self.json = json
        self._words: dict[str, Any] = {
            "texts": texts,
            "system": system,
            "image": image,
            "audio": audio,
            "given": given,
            "params": params,
        }

    def inputs(self, task: str | None) -> Inputs:
        """The input object for a model of the task."""
        made = inputs.build(task, **self._words)
        if self.stream and (task or _likely(made)) == "text-generation":
            made.setdefault("stream", True)
        return made


def _likely(made: Inputs) -> str:
    return "text-generation" if made.keys() & {"prompt", "messages"} else ""


async def _local(settings: Settings, asked: Asked) -> None:
    from skerry.cli.progress import PullBars
    from skerry.client import Stream
    from skerry.node import Node
    from skerry.types import Answer

    bars = PullBars()
    node = Node(settings, on_pull=bars)
    entry = node.catalog.get(asked.model)
    made = asked.inputs(entry.task)
    request = InferenceRequest(
        model=asked.model,
        inputs=made,
        id=new_id(),
        stream=bool(made.get("stream")),
    )
    async with node:
        with bars:
            reply = await node.ai.run(request)
        if isinstance(reply, Answer):
            _print(asked, reply.value, _suffix(reply.content_type))
        else:
            await _print_stream(asked, Stream(reply.pieces))
        if not asked.json and err().is_terminal:
            _remark(reply.model, reply.standin_for, reply.usage.completion_tokens, reply.timing.run)
    if not asked.json and reply.standin_for:
        err().print(f"{reply.model} stood in for {reply.standin_for}", style="yellow")


async def _remote(url: str, settings: Settings, asked: Asked) -> None:
    from skerry.client import AI

    made = asked.inputs(_task(settings, asked.model))
    async with AI(url) as ai:
        answer = await ai.run(asked.model, made)
        if isinstance(answer, AsyncIterator):
            await _print_stream(asked, answer)
        else:
            _print(asked, answer, ".bin")


def _task(settings: Settings, model: str) -> str | None:
    """The model's task, where this machine's catalog knows the model too."""
    from skerry.catalog.open import open_catalog

    try:
        return open_catalog(settings).get(model).task
    except NoSuchModel:
        return None


def _suffix(content_type: str | None) -> str:
    known = {"audio/mpeg": ".mp3", "audio/wav": ".wav", "audio/x-wav": ".wav", "image/png": ".png"}
    return known.get(content_type or "", ".bin")


def _print(asked: Asked, value: Any, suffix: str) -> None:
    from skerry.cli.answers import show

    data = value if isinstance(value, bytes) else None
    if data is None and isinstance(value, dict) and isinstance(value.get("audio"), str | bytes):
        sound = value["audio"]
        data = sound if isinstance(sound, bytes) else base64.b64decode(sound)
    if data is not None and not asked.json:
        path = asked.out or Path(f"answer{_kind(data) or suffix}")
        path.write_bytes(data)
        err().print(f"{len(data):,} bytes written to {path}")
    elif asked.json:
        print_json(value)
    else:
        show(out(), value)


def _kind(data: bytes) -> str | None:
    if data[:4] == b"RIFF":
        return ".wav"
    if data[:3] == b"ID3" or data[:2] in {b"\xff\xfb", b"\xff\xf3"}:
        return ".mp3"
    return ".png" if data[:4] == b"\x89PNG" else None


async def _print_stream(asked: Asked, pieces: AsyncIterator[dict[str, Any]]) -> None:
    """Pieces as they come: JSON lines, or the text."""
    async for piece in pieces:
        if asked.json:
            print_json(piece)
        elif piece.get("response"):
            sys.stdout.write(str(piece["response"]))
            sys.stdout.flush()
    if not asked.json:
        sys.stdout.write("\n")
        sys.stdout.flush()


def _remark(model: str, standin_for: str | None, tokens: int, seconds: float) -> None:
    words = [model if not standin_for else f"{model} for {standin_for}"]
    if seconds:
        words.append(f"{seconds:.2f} s")
    if tokens and seconds:
        words.append(f"{tokens} tokens, {tokens / seconds:.0f} a second")
    err().print(" · ".join(words), style="dim")
