"""text-classification: a text to the score of each label; or, by option, texts ranked by a query.

Schemas after Cloudflare's of @cf/huggingface/distilbert-sst-2-int8 and @cf/baai/bge-reranker-base
(which Cloudflare lists under the same task).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from skerry.tasks.base import Feeds, ModelFiles, Row, RowProcessor, Task
from skerry.tasks.labels import labels, softmax
from skerry.tasks.rerank import RerankProcessor, rerank_input, rerank_output
from skerry.tasks.tokens import TokenRows, Tokens
from skerry.types import Inputs, Usage


class TextClassification(Task):
    """What kind of text it is.

    options: `labels`, those of tokens.Tokens, `rerank` (true: a reranker, with the
    schemas of rerank.py).
    """

    name: ClassVar[str] = "text-classification"
    title: ClassVar[str] = "Text Classification"

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "text": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The text to classify.",
                }
            },
            "required": ["text"],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "description": "Every label with its score, in the order of the model's classes.",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string", "description": '"NEGATIVE", "POSITIVE" …'},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "required": ["label", "score"],
            },
        }

    def input_for(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return rerank_input() if options.get("rerank") else self.input_schema

    def output_for(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return rerank_output() if options.get("rerank") else self.output_schema

    def open(self, files: ModelFiles) -> RowProcessor:
        if files.options.get("rerank"):
            return RerankProcessor(Tokens(files))
        return TextClassificationProcessor(Tokens(files), labels(files))


class TextClassificationProcessor(TokenRows):
    """Tokenises; softmax over `logits` [rows, classes]."""

    def __init__(self, tokens: Tokens, names: list[str]) -> None:
        super().__init__(tokens)
        self._names = names

    def prepare(self, inputs: Inputs) -> list[Row]:
        return self._tokens.rows([inputs["text"]])

    def prepare_many(self, many: Sequence[Inputs]) -> list[list[Row] | Exception]:
        try:
            return [[row] for row in self._tokens.rows([inputs["text"] for inputs in many])]
        except Exception:  # one text spoils the call: find out whose it is
            return super().prepare_many(many)

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        found = outputs.get("logits")
        logits = next(iter(outputs.values())) if found is None else found
        return list(softmax(logits[:count]))

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        scores = results[0].tolist()
        value = [
            {"label": name, "score": score} for name, score in zip(self._names, scores, strict=True)
        ]
        return value, Usage(rows[0].length)
