"""POST embeddings."""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec
import numpy as np
from aiohttp import web

from skerry.api.answers import dump, headers_of, reply
from skerry.api.endpoint import EMBEDDINGS
from skerry.api.openai.base import OpenAIEndpoint
from skerry.errors import AiError, InvalidInput
from skerry.types import Answer


class EmbeddingsBody(msgspec.Struct, kw_only=True):
    """The body of embeddings. Other fields that clients send are let pass unread."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None

    def texts(self) -> str | list[str]:
        """The texts. Raises InvalidInput for arrays of tokens."""
        if isinstance(self.input, str):
            return self.input
        texts = [each for each in self.input if isinstance(each, str)]
        if len(texts) != len(self.input):
            raise InvalidInput(
                "input: arrays of tokens are not taken, since each model here has its own"
                " tokenizer; send the texts"
            )
        return texts


class Embeddings(OpenAIEndpoint):
    """Texts to vectors."""

    _decoder = msgspec.json.Decoder(EmbeddingsBody)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """One vector per text, as floats or as base64 of little-endian float32."""
        body, size = await self.body(request, self._decoder)
        entry = self.entry(body.model, EMBEDDINGS, size)
        ask = self.face.inference(request, entry.name, {"text": body.texts()})
        try:
            answer = await self.face.ai.run(ask)
        except AiError as error:
            return self.refused(error, ask.id)
        assert isinstance(answer, Answer), "embeddings do not stream"
        rows = np.asarray(answer.value["data"], dtype=np.float32)
        if body.dimensions is not None and body.dimensions != rows.shape[1]:
            other = InvalidInput(
                f"dimensions: {entry.name} has {rows.shape[1]}, not {body.dimensions};"
                " leave it out, or choose another model"
            )
            return self.refused(other, ask.id)
        return reply(_list(rows, answer, body.encoding_format), headers_of(answer, ask.id))


def _list(rows: np.ndarray[Any, Any], answer: Answer, form: str | None) -> bytes:
    usage = {
        "prompt_tokens": answer.usage.prompt_tokens,
        "total_tokens": answer.usage.prompt_tokens,
    }
    vectors: list[Any]
    if form == "base64":
        little = rows.astype("<f4", copy=False)
        vectors = [base64.b64encode(row.tobytes()).decode() for row in little]
    else:
        vectors = list(np.ascontiguousarray(rows))
    return dump(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": at, "embedding": vector}
                for at, vector in enumerate(vectors)
            ],
            "model": answer.model,
            "usage": usage,
        }
    )
