"""JSON that was asked for is held against its schema, whole and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from skerry.ai import AI, Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.ai.json_mode import JsonMode
from skerry.catalog.entry import Entry
from skerry.errors import JsonNotMet
from skerry.types import Answer, AnswerStream, InferenceRequest

ENTRY = Entry(name="@skerry/x", id="1", task="text-generation", description="", licence="MIT")


class Last(Step):
    """Answers `value`, in pieces where a stream is asked for."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self.closed = False

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        if not flight.request.stream:
            return Answer(value=self.value, model=ENTRY.name)
        return AnswerStream(pieces=self._pieces(), model=ENTRY.name)

    async def _pieces(self) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {"response": "{"}
            yield {**self.value, "usage": {}}
        finally:
            self.closed = True


class Name(Step):
    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        flight.entry = ENTRY
        return await proceed(flight)


async def answer(
    response: Any, asked: dict[str, Any], *, stream: bool = False, reason: str = "stop",
    may_be_cut: bool = False, calls: list[Any] | None = None,
) -> Any:  # fmt: skip
    """What a caller gets of such an answer; for a stream its pieces."""
    value = {"response": response, "finish_reason": reason, "tool_calls": calls or []}
    request = InferenceRequest(
        model=ENTRY.name, inputs={"prompt": "p", "max_tokens": 7, **asked}, id="1", stream=stream,
        json_may_be_cut=may_be_cut,
    )  # fmt: skip
    reply = await AI([Name(), JsonMode(), Last(value)]).run(request)
    if isinstance(reply, Answer):
        return reply.value["response"]
    return [piece async for piece in reply.pieces]


def by_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


OBJECT = {"response_format": {"type": "json_object"}}
UNIQUE = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
NOT = {"type": "object", "not": {"required": ["a"]}}
IF = {
    "if": {"properties": {"kind": {"const": "b"}}, "required": ["kind"]},
    "then": {"required": ["size"]},
}


@pytest.mark.parametrize(
    ("response", "asked"),
    [
        ([1, 2], by_schema(UNIQUE)),
        ({"b": 1}, by_schema(NOT)),
        ({"kind": "b", "size": 1}, by_schema(IF)),
        ({"b": 1}, {"guided_json": NOT}),
        ({"b": 1}, by_schema({"name": "x", "schema": NOT})),
        ("yes", by_schema({"type": "string"})),
        ('{"a": 1}', OBJECT),
        ("free text", {}),
        ("free text", {"response_format": {"type": "text"}}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_matches_passes(response: Any, asked: dict[str, Any], stream: bool) -> None:
    got = await answer(response, asked, stream=stream)
    assert (got[-1]["response"] if stream else got) == response


@pytest.mark.parametrize(
    ("response", "asked", "says"),
    [
        ([1, 1], by_schema(UNIQUE), "at '/'.*Ask again, or make the schema simpler"),
        ({"a": 1}, by_schema(NOT), "does not match the schema"),
        ({"kind": "b"}, by_schema(IF), "size"),
        ({"a": 1}, {"guided_json": NOT}, "does not match"),
        ({"a": 1}, by_schema({"name": "x", "schema": NOT}), "does not match"),
        ({"x": [1, "y"]}, by_schema({"properties": {"x": UNIQUE}}), "at '/x/1'"),
        ("no JSON", by_schema(NOT), "no JSON.*Ask again"),
        ("no JSON", OBJECT, "no JSON"),
        ("[1]", OBJECT, "no object"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("may_be_cut", [False, True])
async def test_what_does_not_match_is_an_error(
    response: Any, asked: dict[str, Any], says: str, stream: bool, may_be_cut: bool
) -> None:
    with pytest.raises(JsonNotMet, match=f"JSON Mode couldn't be met: @skerry/x: .*{says}"):
        await answer(response, asked, stream=stream, may_be_cut=may_be_cut)


@pytest.mark.parametrize("asked", [by_schema(NOT), OBJECT, by_schema({"type": "string"})])
async def test_what_was_cut(asked: dict[str, Any]) -> None:
    with pytest.raises(JsonNotMet, match=r"max_tokens \(7\) cut.*Send a larger max_tokens"):
        await answer('"ab', asked, reason="length")
    assert await answer('"ab', asked, reason="length", may_be_cut=True) == '"ab'


async def test_what_ends_with_its_last_token_is_whole() -> None:
    assert await answer('{"a": 1}', OBJECT, reason="length") == '{"a": 1}'
    assert await answer({"b": 1}, by_schema(NOT), reason="length") == {"b": 1}


async def test_a_tool_call_is_no_answer_yet() -> None:
    assert await answer("", OBJECT, calls=[{"name": "f", "arguments": {}}]) == ""


async def test_leaving_a_stream_closes_the_run() -> None:
    last = Last({"response": {"b": 1}, "finish_reason": "stop"})
    request = InferenceRequest(
        model=ENTRY.name, inputs={"prompt": "p", **by_schema(NOT)}, id="1", stream=True
    )
    reply = await AI([Name(), JsonMode(), last]).run(request)
    assert isinstance(reply, AnswerStream)
    await anext(reply.pieces)
    close: Any = reply.pieces
    await close.aclose()
    assert last.closed
