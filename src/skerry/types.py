"""Value types that several rooms share; nothing here imports a room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import getrandbits
from typing import Any

import msgspec

Inputs = dict[str, Any]
"""A task's input object. Binary fields hold `bytes` once a face or task has decoded them."""


def new_id() -> str:
    """An id for a request, in the form of a random UUID (uuid.uuid4 costs four times as much)."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Usage(msgspec.Struct, frozen=True, omit_defaults=False):
    """Tokens of one inference. For images and sound both counts are 0."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def json(self) -> dict[str, int]:
        """The object that Cloudflare and OpenAI both call `usage`."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
        }


class Timing(msgspec.Struct):
    """Where the time of one inference went, in seconds."""

    queue: float = 0.0
    load: float = 0.0
    run: float = 0.0
    first: float = 0.0
    """From the start of `run` to the first streamed piece; 0 if nothing was streamed."""


class InferenceRequest(msgspec.Struct, kw_only=True):
    """One inference, as a face hands it to AI.run."""

    model: str
    inputs: Inputs
    id: str
    account: str = "local"
    stream: bool = False
    timeout: float | None = None
    """Seconds until the caller gives up; None: the node's setting."""
    reject_if_busy: bool = False
    """Fail at once with 3040 where the request would have to wait in a queue."""
    json_may_be_cut: bool = False
    """JSON that max_tokens cut off is answered as its text, as OpenAI does; else it is 5024."""


class Answer(msgspec.Struct, kw_only=True):
    """A whole answer. `value` may hold numpy arrays (embeddings) and bytes (sound, images)."""

    value: Any
    model: str
    """The model that answered: its catalog name."""
    standin_for: str | None = None
    """The model that was asked for, where a stand-in answered."""
    usage: Usage = msgspec.field(default_factory=Usage)
    timing: Timing = msgspec.field(default_factory=Timing)
    content_type: str | None = None
    """Set where `value` is bytes to be sent as they are (audio/mpeg …)."""


class AnswerStream(msgspec.Struct, kw_only=True, weakref=True):
    """An answer that is still being made.

    `pieces` yields Cloudflare's stream objects ({"response": "tok"}, the last one with "usage");
    it raises AiError where the run fails. Closing it (aclose) cancels the run.
    `usage` and `timing` are filled in when it ends.
    """

    pieces: AsyncIterator[dict[str, Any]]
    model: str
    standin_for: str | None = None
    usage: Usage = msgspec.field(default_factory=Usage)
    timing: Timing = msgspec.field(default_factory=Timing)


class ModelFiles(msgspec.Struct, frozen=True):
    """A model on this machine, as a runner sees it."""

    name: str
    task: str
    directory: Path
    """Holds the entry's artifacts and its conversion's outputs under their names."""
    options: dict[str, Any]
    """The entry's `options` (pooling, labels …)."""
    context: int | None = None
    loras: Path | None = None
    """The folder of the user's LoRA adapters for this model; it need not be there."""

    def path(self, name: str) -> Path:
        return self.directory / name
