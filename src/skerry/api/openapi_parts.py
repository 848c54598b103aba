"""What every part of the OpenAPI document is made of."""

from __future__ import annotations

from typing import Any

from skerry.api.errors import error_rows

Json = dict[str, Any]

REF = "#/components/schemas/"


def error_schemas() -> Json:
    """What an error is in each dialect."""
    text, number = {"type": "string"}, {"type": ["integer", "null"]}
    coded = {
        "type": "object",
        "properties": {"message": text, "code": {"type": "integer"}},
        "required": ["message", "code"],
    }
    openai: Json = {
        "message": text,
        "type": text,
        "param": {"type": ["string", "null"]},
        "code": text,
    }
    anthropic: Json = {"type": text, "message": text}
    return {
        "CloudflareError": _object(
            errors={"type": "array", "items": coded},
            success={"const": False},
            result={"type": "object"},
            messages={"type": "array"},
        ),
        "OpenAIError": _object(error=_object(**openai, cloudflare_code=number)),
        "AnthropicError": _object(
            type={"const": "error"}, error=_object(**anthropic, cloudflare_code=number)
        ),
    }


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def error_answers() -> Json:
    """One response per status and dialect, naming every code that comes with it."""
    rows: dict[int, list[str]] = {}
    words: dict[int, list[str]] = {}
    for code, status, _, word, meaning in error_rows():
        rows.setdefault(status, []).append(f"{code}: {meaning}")
        words.setdefault(status, []).append(f"{word}: {meaning}")
    rows.setdefault(403, []).append("10000: A page of this origin may not call the node.")
    words.setdefault(403, []).append("origin_not_allowed: A page of this origin may not call.")
    rows.setdefault(404, []).append("7003: No such route.")
    words.setdefault(404, []).append("not_found: No such route.")
    rows.setdefault(405, []).append("10405: The method is not allowed.")
    words.setdefault(405, []).append("method_not_allowed: The method is not allowed.")
    out: Json = {}
    for name, table in (("Cloudflare", rows), ("OpenAI", words), ("Anthropic", words)):
        for status, lines in table.items():
            out[f"{name}{status}"] = {
                "description": "\n".join(f"- {line}" for line in lines),
                "content": {"application/json": {"schema": {"$ref": f"{REF}{name}Error"}}},
            }
            if status == 429:
                out[f"{name}429"]["headers"] = {
                    "Retry-After": {
                        "description": "Seconds to wait, where waiting helps.",
                        "schema": {"type": "integer", "minimum": 1},
                    }
                }
    return out


def failures_of(dialect: str) -> Json:
    """Every answer that is an error, by status."""
    statuses = {status for _, status, *_ in error_rows()} | {403, 404, 405}
    return {
        str(status): {"$ref": f"#/components/responses/{dialect}{status}"}
        for status in sorted(statuses)
    }


def account() -> Json:
    """The parameter in the path."""
    return {
        "name": "account",
        "in": "path",
        "required": True,
        "description": "Any id while the node has no tokens; `local` by custom.",
        "schema": {"type": "string", "minLength": 1},
        "example": "local",
    }


def model() -> Json:
    """The parameter in the path."""
    return {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "@cf/author/name; its slashes may be written as they are or as %2F.",
        "schema": {"type": "string", "minLength": 1},
        "example": "@skerry/minilm-l6-v2",
    }


def query(name: str, kind: str, text: str) -> Json:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind}}


def options() -> list[Json]:
    """The parameters of every inference."""
    return [
        query("rejectIfBusy", "boolean", "Fail at once with 3040 where it would have to wait."),
        {
            "name": "x-skerry-timeout",
            "in": "header",
            "description": "Seconds to wait for the answer, at most the node's own.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        },
        {
            "name": "x-skerry-reject-if-busy",
            "in": "header",
            "description": "The same as rejectIfBusy.",
            "schema": {"type": "boolean"},
        },
    ]


def envelope(result: Json) -> Json:
    """Cloudflare's envelope around a result."""
    return {
        "type": "object",
        "properties": {
            "result": result,
            "success": {"const": True},
            "errors": {"type": "array", "maxItems": 0},
            "messages": {"type": "array"},
            "result_info": {"type": "object"},
        },
        "required": ["result", "success", "errors", "messages"],
    }


def operation(tag: str, name: str, summary: str, ok: Json, failures: Json) -> Json:
    """An operation; `ok` is its 200."""
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "responses": {"200": ok, **failures},
    }


def json_answer(description: str, schema: Json) -> Json:
    """An answer of JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


STREAM = {"schema": {"type": "string", "description": "Server-sent events, the last [DONE]."}}
