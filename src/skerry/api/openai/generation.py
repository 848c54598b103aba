"""Fields of text generation as OpenAI has them, to task inputs."""

from __future__ import annotations

from typing import Any

import msgspec

from skerry.errors import InvalidInput


class Sampling(msgspec.Struct, kw_only=True):
    """The sampling fields of every generating endpoint."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    lora: str | None = None

    def inputs(self) -> dict[str, Any]:
        """Those that are set, as task inputs."""
        out = {}
        for name in Sampling.__struct_fields__:
            value = getattr(self, name)
            if value is not None:
                out[name] = value
        return out


def stops(stop: str | list[str] | None) -> list[str] | None:
    """`stop` as a list; an empty one is none."""
    return ([stop] if isinstance(stop, str) else stop) or None


def response_format(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """OpenAI's response_format as the task's. Raises InvalidInput."""
    if value is None or value.get("type") == "text":
        return None
    if value.get("type") == "json_schema":
        wrapped = value.get("json_schema")
        if not isinstance(wrapped, dict):
            raise InvalidInput("response_format.json_schema: give the schema as an object")
        schema = wrapped.get("schema", wrapped)
        if not isinstance(schema, dict):
            raise InvalidInput("response_format.json_schema.schema: not an object")
        return {"type": "json_schema", "json_schema": schema}
    if value.get("type") == "json_object":
        return {"type": "json_object"}
    raise InvalidInput("response_format.type: choose text, json_object or json_schema")
