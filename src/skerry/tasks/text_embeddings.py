"""text-embeddings: one text or up to 100, to a matrix.

Schema after Cloudflare's of @cf/baai/bge-base-en-v1.5 and (truncate_inputs) bge-m3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from skerry.errors import InvalidInput
from skerry.tasks.base import (
    Array,
    Call,
    CallProcessor,
    Embed,
    Embedded,
    Feeds,
    ModelFiles,
    Outcome,
    Row,
    Task,
)
from skerry.tasks.tokens import TokenRows, Tokens
from skerry.types import Inputs, Usage

MAX_TEXTS = 100


class TextEmbeddings(Task):
    """A text to a vector.

    options: `pooling`, the model's default ("mean"); `poolings`, all that it can (default: only
    that one; a graph that gives `last_hidden_state` can both).
    """

    name: ClassVar[str] = "text-embeddings"
    title: ClassVar[str] = "Text Embeddings"

    @property
    def input_schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "description": "The text to embed."}
        return {
            "type": "object",
            "properties": {
                "text": {
                    "description": f"One text, or up to {MAX_TEXTS}.",
                    "anyOf": [
                        text,
                        {"type": "array", "items": text, "minItems": 1, "maxItems": MAX_TEXTS},
                    ],
                },
                "pooling": {
                    "type": "string",
                    "enum": ["mean", "cls"],
                    "description": "How token vectors become one vector. Vectors made with"
                    " different pooling cannot be compared. Default: the model's own.",
                },
                "truncate_inputs": {
                    "type": "boolean",
                    "default": True,
                    "description": "Cut a text that is longer than the model's input; false:"
                    " answer with an error instead.",
                },
            },
            "required": ["text"],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "shape": {
                    "type": "array",
                    "items": {"type": "integer"},
                    "minItems": 2,
                    "maxItems": 2,
                    "description": "[texts, dimensions]",
                },
                "data": {
                    "type": "array",
                    "items": {"type": "array", "items": {"type": "number"}},
                    "description": "One vector per text, in order; float32, of length 1.",
                },
                "pooling": {"type": "string", "enum": ["mean", "cls"]},
            },
            "required": ["shape", "data", "pooling"],
        }

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        asked = inputs.get("pooling")
        if asked is None:
            return
        default = options.get("pooling", "mean")
        can = options.get("poolings", [default])
        if asked not in can:
            raise InvalidInput(
                f"Bad input: Error: pooling: this model has only {' and '.join(can)} pooling,"
                f" not {asked}. Leave the field out"
            )

    def open(self, files: ModelFiles) -> EmbeddingProcessor:
        return EmbeddingProcessor(Tokens(files), files.options)

    def open_calls(self, files: ModelFiles) -> EmbeddingCalls:
        return EmbeddingCalls(files.options)


class EmbeddingProcessor(TokenRows):
    """Tokenises, and pools where the graph does not.

    The graph gives `sentence_embedding` [rows, d], pooled and of length 1, or
    `last_hidden_state` [rows, tokens, d], which is pooled here.
    """

    def __init__(self, tokens: Tokens, options: Mapping[str, Any]) -> None:
        super().__init__(tokens)
        self._pooling: str = options.get("pooling", "mean")

    def prepare(self, inputs: Inputs) -> list[Row]:
        texts = _texts(inputs)
        if not inputs.get("truncate_inputs", True):
            for text in texts:
                self._tokens.fits(text)
        return self._tokens.rows(texts)

    def prepare_many(self, many: Sequence[Inputs]) -> list[list[Row] | Exception]:
        if len(many) == 1 or any("truncate_inputs" in inputs for inputs in many):
            return super().prepare_many(many)
        groups = [_texts(inputs) for inputs in many]
        try:
            rows = iter(self._tokens.rows([text for group in groups for text in group]))
        except Exception:  # one text spoils the call: find out whose it is
            return super().prepare_many(many)
        return [[next(rows) for _ in group] for group in groups]

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        return list(_embeddings(outputs)[:count])

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        pooling = inputs.get("pooling") or self._pooling
        vectors = [
            result if result.ndim == 1 else _pool(result[: row.length], pooling)
            for row, result in zip(rows, results, strict=True)
        ]
        data = vectors[0][None] if len(vectors) == 1 else np.stack(vectors)
        data = np.ascontiguousarray(data, np.float32)
        value = {"shape": list(data.shape), "data": data, "pooling": pooling}
        return value, Usage(sum(row.length for row in rows))


class EmbeddingCalls(CallProcessor):
    """For an engine that tokenises and pools itself: a server behind this one.

    Which pooling that is nobody here can choose, nor what becomes of a text that is too long.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._pooling: str = options.get("pooling", "mean")

    def prepare(self, inputs: Inputs) -> Call:
        asked = inputs.get("pooling")
        if asked not in (None, self._pooling):
            raise InvalidInput(
                f"Bad input: Error: pooling: the server behind this model has {self._pooling}"
                f" pooling, not {asked}. Leave the field out"
            )
        if not inputs.get("truncate_inputs", True):
            raise InvalidInput(
                "Bad input: Error: truncate_inputs: whether a long text is cut is decided by the"
                " server behind this model. Leave the field out"
            )
        return Embed(texts=_texts(inputs))

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Embedded)
        vectors = np.asarray(outcome.vectors, np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        data = np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
        value = {"shape": list(data.shape), "data": data, "pooling": self._pooling}
        return value, Usage(outcome.prompt_tokens)


def _texts(inputs: Inputs) -> list[str]:
    text = inputs["text"]
    return [text] if isinstance(text, str) else text


def _embeddings(outputs: Feeds) -> Array:
    for name in ("sentence_embedding", "last_hidden_state"):
        if name in outputs:
            return outputs[name]
    return next(iter(outputs.values()))


def _pool(hidden: Array, pooling: str) -> Array:
    """One vector of length 1 from [tokens, d]."""
    hidden = np.asarray(hidden, np.float32)
    vector: Array = hidden[0] if pooling == "cls" else hidden.mean(axis=0)
    norm = float(np.sqrt(vector @ vector))
    return vector / norm if norm > 0 else vector
