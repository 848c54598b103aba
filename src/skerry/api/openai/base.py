"""What the OpenAI endpoints share beside `Endpoint`."""

from __future__ import annotations

import time
from typing import ClassVar

import msgspec

from skerry.api.endpoint import Endpoint
from skerry.api.errors import Form, openai_form
from skerry.errors import InvalidInput
from skerry.types import InferenceRequest, new_id

MAX_CHOICES = 16
"""Most answers of one request (`n`, or prompts of a list)."""


class StreamOptions(msgspec.Struct):
    """How a stream is to be sent."""

    include_usage: bool | None = None


class OpenAIEndpoint(Endpoint):
    """An OpenAI endpoint: its routes stand in the subclass."""

    form: ClassVar[Form] = openai_form


def several(ask: InferenceRequest, number: int) -> list[InferenceRequest]:
    """The same request `number` times; a seed goes up by one so that the answers differ."""
    out = [ask]
    for at in range(1, number):
        inputs = dict(ask.inputs)
        if isinstance(inputs.get("seed"), int):
            inputs["seed"] += at
        out.append(msgspec.structs.replace(ask, inputs=inputs, id=new_id()))
    return out


def count(name: str, value: int | None) -> int:
    """A number of answers. Raises InvalidInput."""
    chosen = 1 if value is None else value
    if not 1 <= chosen <= MAX_CHOICES:
        raise InvalidInput(f"{name}: {chosen} is not between 1 and {MAX_CHOICES}")
    return chosen


def now() -> int:
    """Unix time in whole seconds."""
    return int(time.time())
