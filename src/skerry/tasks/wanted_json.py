"""JSON that a model's answer must be: `response_format` in Cloudflare's and OpenAI's forms."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec

from skerry.errors import InvalidInput
from skerry.types import Inputs

MAX_SCHEMA = 128 << 10
"""Bytes of the largest schema; a grammar of more would take minutes to build."""


def wanted_json(inputs: Inputs) -> dict[str, Any] | None:
    """The schema that the answer must match; {} for any object, None for plain text."""
    if inputs.get("guided_json") is not None:
        guided: dict[str, Any] = inputs["guided_json"]
        return guided
    wanted = inputs.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {}
    if wanted.get("type") != "json_schema":
        return None
    schema: dict[str, Any] = _inner(wanted.get("json_schema"))
    return schema


def _inner(schema: Any) -> Any:
    """OpenAI wraps the schema as {name, schema, strict}; Cloudflare does not."""
    wrapped = isinstance(schema, dict) and isinstance(schema.get("schema"), dict)
    if wrapped and not {"type", "properties", "anyOf", "oneOf", "$ref"} & schema.keys():
        return schema["schema"]
    return schema


def check_json(inputs: Inputs) -> None:
    """Raises InvalidInput where the wanted schema is none."""
    if inputs.get("guided_json") is not None:
        check_schema(inputs["guided_json"], "guided_json")
        return
    wanted = inputs.get("response_format")
    if not wanted or wanted.get("type") != "json_schema":
        return
    if wanted.get("json_schema") is None:
        raise InvalidInput(
            "Bad input: Error: required properties at '/response_format' are 'json_schema'."
            " Add the schema that the answer must match"
        )
    check_schema(_inner(wanted["json_schema"]), "response_format.json_schema")


def check_schema(schema: Any, what: str) -> None:
    """Raises InvalidInput where `schema` is not a JSON Schema; fetches nothing."""
    if not isinstance(schema, dict):
        raise InvalidInput(f"Bad input: Error: {what} is not a JSON Schema object")
    try:
        size = len(msgspec.json.encode(schema))
        if size > MAX_SCHEMA:
            raise InvalidInput(
                f"Bad input: Error: {what} has {size} bytes; send at most {MAX_SCHEMA}"
            )
        jsonschema_rs.validator_for(schema, offline=True)
    except jsonschema_rs.ReferencingError as error:
        raise InvalidInput(
            f"Bad input: Error: {what} refers to a schema that is not in it: {error.message[:200]}"
        ) from error
    except (jsonschema_rs.ValidationError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"Bad input: Error: {what} is not a valid JSON Schema: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "message", error)).splitlines()[0][:200]
