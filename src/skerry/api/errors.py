"""Errors on the wire: Cloudflare's envelope, OpenAI's error object and Anthropic's."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from skerry.errors import (
    AiError,
    ContextTooLong,
    NeuronsUsedUp,
    NoSuchModel,
    error_table,
)

Form = Callable[[AiError], bytes]
"""Writes an error as the body of an answer."""

_WORDS: dict[type[AiError], str] = {
    ContextTooLong: "context_length_exceeded",
    NeuronsUsedUp: "insufficient_quota",
    NoSuchModel: "model_not_found",
}
"""OpenAI's own words, which clients compare with; the others are our class names in snake case."""


def word(kind: type[AiError]) -> str:
    """The `code` of an error class in OpenAI's dialect: "model_not_found", "out_of_capacity" …"""
    known = _WORDS.get(kind)
    if known is not None:
        return known
    name = kind.__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def error_type(status: int) -> str:
    """The `type` of an error in OpenAI's dialect."""
    if status == 429:
        return "rate_limit_error"
    if status in (401, 403):
        return "permission_error"
    if status == 404:
        return "not_found_error"
    if status == 408:
        return "timeout_error"
    return "invalid_request_error" if status < 500 else "server_error"


def envelope(code: int, message: str) -> bytes:
    """Cloudflare's envelope of a failure."""
    return msgspec.json.encode(
        {
            "errors": [{"message": message, "code": code}],
            "success": False,
            "result": {},
            "messages": [],
        }
    )


def openai_object(status: int, code: str, message: str, number: int | None) -> bytes:
    """OpenAI's error object; `cloudflare_code` is ours and carries the number of the table."""
    return msgspec.json.encode(
        {
            "error": {
                "message": message,
                "type": error_type(status),
                "param": None,
                "code": code,
                "cloudflare_code": number,
            }
        }
    )


def cloudflare_form(error: AiError) -> bytes:
    """An AiError in Cloudflare's envelope."""
    return envelope(error.code, f"AiError: {error.message}")


def openai_form(error: AiError) -> bytes:
    """An AiError as OpenAI's error object."""
    return openai_object(error.status, word(type(error)), error.message, error.code)


def anthropic_object(status: int, message: str, number: int | None) -> bytes:
    """Anthropic's error object; `cloudflare_code` is ours and carries the number of the table.

    Types: Anthropic, "Errors"; 408 has none there and is a timeout.
    """
    kinds = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        413: "request_too_large",
        429: "rate_limit_error",
    }
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
    return msgspec.json.encode(
        {
            "type": "error",
            "error": {"type": kind, "message": message, "cloudflare_code": number},
        }
    )


def anthropic_form(error: AiError) -> bytes:
    """An AiError as Anthropic's error object."""
    return anthropic_object(error.status, error.message, error.code)


def retry_after(error: AiError) -> str | None:
    """The Retry-After header: whole seconds, at least 1; None where a retry is no help.

    Every 429 that may pass carries one, since clients wait for it.
    """
    if error.retry_after is not None:
        return str(max(1, math.ceil(error.retry_after)))
    return "1" if error.retryable and error.status == 429 else None


def error_rows() -> list[tuple[int, int, str, str, str]]:
    """(code, status, class, OpenAI code, meaning) of every error, for the docs and OpenAPI."""
    return [
        (kind.code, kind.status, kind.__name__, word(kind), (kind.__doc__ or "").strip())
        for kind in error_table()
    ]
