"""Step: JSON that was asked for is what was asked for, or it is an error.

The engines' grammars keep to most of a schema; what a grammar cannot hold (`uniqueItems`, `not`,
`if`) and what was cut off is found here. Cloudflare, "JSON Mode": where the model cannot satisfy
the schema, the error "JSON Mode couldn't be met" is returned. It is told as 5024.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

import jsonschema_rs
import msgspec

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.errors import JsonNotMet
from skerry.tasks.wanted_json import wanted_json
from skerry.types import Answer, Inputs


class JsonMode(Step):
    """Holds answers of text-generation against the JSON that the request asked for.

    A stream is held against it at its end, and then ends with the error. Where the request lets
    JSON be cut (OpenAI's way), what max_tokens cut off is answered as its text.
    """

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        request = flight.request
        inputs = request.inputs
        if "response_format" not in inputs and "guided_json" not in inputs:
            return await proceed(flight)
        schema = wanted_json(inputs) if flight.resolved.task == "text-generation" else None
        if schema is None:
            return await proceed(flight)
        check = _Check(flight.resolved.name, schema, inputs, may_be_cut=request.json_may_be_cut)
        reply = await proceed(flight)
        if isinstance(reply, Answer):
            check(reply.value)
        else:
            reply.pieces = _Checked(reply.pieces, check)
        return reply


class _Check:
    """Raises JsonNotMet for an answer that is not the JSON that was wanted."""

    def __init__(
        self, model: str, schema: dict[str, Any], inputs: Inputs, *, may_be_cut: bool
    ) -> None:
        self._model = model
        self._schema = schema
        self._max_tokens = inputs.get("max_tokens")
        self._may_be_cut = may_be_cut

    def __call__(self, value: dict[str, Any]) -> None:
        if value.get("tool_calls"):
            return
        cut = value.get("finish_reason") == "length"
        reason = self._reason(value.get("response"), cut=cut)
        if reason is None or (cut and self._may_be_cut):
            return
        if cut:
            reason = (
                f"max_tokens ({self._max_tokens}) cut the answer off before its JSON was whole."
                " Send a larger max_tokens"
            )
        raise JsonNotMet(f"JSON Mode couldn't be met: {self._model}: {reason}")

    def _reason(self, response: Any, *, cut: bool) -> str | None:
        """Why it is not met; None where it is."""
        if isinstance(response, str) and (cut or not self._takes(response)):
            try:
                response = msgspec.json.decode(response)
            except msgspec.DecodeError as error:
                return f"the answer is no JSON ({error}). Ask again, or ask for JSON in the prompt"
        if not self._schema:
            return None if isinstance(response, dict) else "the answer is no object. Ask again"
        validator = jsonschema_rs.validator_for(self._schema, offline=True)
        wrong = next(iter(validator.iter_errors(response)), None)
        if wrong is None:
            return None
        at = "/" + "/".join(str(part) for part in wrong.instance_path)
        return (
            f"the answer does not match the schema at {at!r}: {wrong.message[:200]}."
            " Ask again, or make the schema simpler"
        )

    def _takes(self, text: str) -> bool:
        """A text that is the answer itself: the schema asks for a string, already decoded."""
        return bool(self._schema) and jsonschema_rs.validator_for(
            self._schema, offline=True
        ).is_valid(text)


class _Checked:
    """A stream's pieces, the last of which is held against the schema before it is given out."""

    def __init__(self, pieces: AsyncIterator[dict[str, Any]], check: _Check) -> None:
        self._pieces = pieces
        self._check = check

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        piece = await anext(self._pieces)
        if "finish_reason" in piece:
            self._check(piece)
        return piece

    async def aclose(self) -> None:
        """Cancel the run, if it still goes on."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()
