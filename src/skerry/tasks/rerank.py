"""Reranking, a form of text-classification: how well each of several texts answers a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skerry.tasks.base import Feeds, Row
from skerry.tasks.tokens import TokenRows
from skerry.types import Inputs, Usage

MAX_CONTEXTS = 100


def rerank_input() -> dict[str, Any]:
    """A new input schema."""
    context = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1, "description": "The text."}},
        "required": ["text"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "description": "What is looked for."},
            "contexts": {
                "type": "array",
                "items": context,
                "minItems": 1,
                "maxItems": MAX_CONTEXTS,
                "description": f"Up to {MAX_CONTEXTS} texts; the answer names them by their place.",
            },
            "top_k": {
                "type": "integer",
                "minimum": 1,
                "description": "Only this many, best first.",
            },
        },
        "required": ["query", "contexts"],
        "additionalProperties": False,
    }


def rerank_output() -> dict[str, Any]:
    """A new output schema."""
    item = {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "description": "The place of the context, from 0."},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["id", "score"],
    }
    return {
        "type": "object",
        "properties": {"response": {"type": "array", "items": item}},
        "required": ["response"],
    }


class RerankProcessor(TokenRows):
    """One row per context: query and context together; sigmoid of the one logit is the score."""

    def prepare(self, inputs: Inputs) -> list[Row]:
        query = inputs["query"]
        return self._tokens.pairs([(query, part["text"]) for part in inputs["contexts"]])

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        found = outputs.get("logits")
        logits = next(iter(outputs.values())) if found is None else found
        values = np.asarray(logits[:count], np.float64).reshape(count, -1)[:, -1]
        return list(1 / (1 + np.exp(-np.clip(values, -60, 60))))

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        scores = np.array(results)
        best = np.argsort(-scores, kind="stable")[: int(inputs.get("top_k", len(scores)))]
        value = {"response": [{"id": int(at), "score": float(scores[at])} for at in best]}
        return value, Usage(sum(row.length for row in rows))
