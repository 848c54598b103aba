"""Records what models answer, and answers with it the next time: the first step of AI.run."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, Self

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.errors import AiError, InternalError, ai_error
from skerry.testing.cassette import Cassette, Recorded, Recording
from skerry.testing.values import key_of, packed, shown, unpacked
from skerry.types import Answer, AnswerStream, Usage

Mode = Literal["once", "none", "all"]


class Recorder(Step):
    """Passes everything on while no cassette is in.

    once: what was asked before is answered from the cassette, the rest by models, and recorded.
    none: models are never asked. all: models are always asked, and recorded.
    """

    def __init__(self) -> None:
        self._cassette: Cassette | None = None
        self._mode: Mode = "once"
        self._changed = False
        self.replayed = 0
        """Answers that came from the cassette, since it was put in."""
        self.recorded = 0
        """Answers that were recorded, since the cassette was put in."""
        self.missing: list[str] = []
        """A sentence for each question that had no recording in the mode `none`."""

    @contextlib.contextmanager
    def using(self, cassette: Cassette, mode: Mode) -> Iterator[Recorder]:
        """Record to and answer from `cassette` within the block; it is saved at its end."""
        self._cassette, self._mode, self._changed = cassette, mode, False
        self.replayed = self.recorded = 0
        self.missing = []
        try:
            yield self
        finally:
            self._cassette = None
            if self._changed:
                cassette.save()

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        cassette = self._cassette
        if cassette is None:
            return await proceed(flight)
        request = flight.request
        key = key_of(request.model, request.inputs | ({"stream": True} if request.stream else {}))
        found = None if self._mode == "all" else cassette.get(key)
        if found is not None:
            self.replayed += 1
            return _replayed(found, request.model)
        asked = shown(request.inputs)
        if self._mode == "none":
            sentence = (
                f"{cassette.path.name} has no recording of {request.model} with the inputs {asked}:"
                " run the test once with --skerry-record=once, which asks the model and records it"
            )
            self.missing.append(sentence)
            raise InternalError(sentence)
        record = _Record(
            self, cassette, Recording(key=key, model=request.model, inputs=asked, answer=Recorded())
        )
        try:
            reply = await proceed(flight)
        except AiError as error:
            if not error.retryable:  # what may be well the next time is not worth keeping
                record.keep(Recorded(error=type(error).__name__, message=error.message))
            raise
        if isinstance(reply, AnswerStream):
            reply.pieces = _Passing(record, reply)
            return reply
        record.keep(
            Recorded(
                model=reply.model,
                value=packed(reply.value),
                content_type=reply.content_type,
                prompt_tokens=reply.usage.prompt_tokens,
                completion_tokens=reply.usage.completion_tokens,
            )
        )
        return reply

    def keep(self, cassette: Cassette, recording: Recording) -> None:
        """Take a recording; not once its cassette is out."""
        if cassette is self._cassette:
            cassette.put(recording)
            self._changed = True
            self.recorded += 1


class _Record:
    """A question whose answer is on its way."""

    def __init__(self, recorder: Recorder, cassette: Cassette, recording: Recording) -> None:
        self._recorder = recorder
        self._cassette = cassette
        self._recording = recording

    def keep(self, answer: Recorded) -> None:
        self._recording.answer = answer
        self._recorder.keep(self._cassette, self._recording)


class _Passing:
    """The pieces of a stream; recorded where it is read to its end.

    Not a generator: closing one that was never begun would not cancel the run.
    """

    def __init__(self, record: _Record, stream: AnswerStream) -> None:
        self._record = record
        self._stream = stream
        self._source = stream.pieces
        self._seen: list[Any] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            piece = await anext(self._source)
        except StopAsyncIteration:
            usage = self._stream.usage
            self._record.keep(
                Recorded(
                    model=self._stream.model,
                    pieces=self._seen,
                    prompt_tokens=usage.prompt_tokens,
                    completion_tokens=usage.completion_tokens,
                )
            )
            raise
        self._seen.append(packed(piece))
        return piece

    async def aclose(self) -> None:
        """Cancel the run, if it still goes on; it is not recorded."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()


def _replayed(found: Recorded, asked: str) -> Reply:
    if found.error:
        raise ai_error(found.error, found.message)
    usage = Usage(found.prompt_tokens, found.completion_tokens)
    model = found.model or asked
    standin_for = asked if model != asked else None
    if found.pieces is None:
        return Answer(
            value=unpacked(found.value),
            model=model,
            standin_for=standin_for,
            usage=usage,
            content_type=found.content_type,
        )
    return AnswerStream(
        pieces=_pieces(found.pieces), model=model, standin_for=standin_for, usage=usage
    )


async def _pieces(pieces: list[Any]) -> AsyncIterator[dict[str, Any]]:
    for piece in pieces:
        yield unpacked(piece)
