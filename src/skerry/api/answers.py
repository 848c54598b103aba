"""How answers are written: JSON, headers, and errors in either dialect."""

from __future__ import annotations

import base64
import logging
from typing import Any

import orjson
from aiohttp import web

from skerry.api.errors import Form, retry_after
from skerry.errors import AiError, InternalError
from skerry.types import Answer, AnswerStream, new_id

JSON = "application/json"
"""Without a charset: Cloudflare's clients compare it whole."""

log = logging.getLogger("skerry.api")


def headers_of(answer: Answer | AnswerStream, req_id: str) -> dict[str, str]:
    """The headers that every inference carries; a stream's timing is not known yet."""
    out = {"cf-ai-req-id": req_id, "x-skerry-model": answer.model}
    if answer.standin_for is not None:
        out["x-skerry-standin"] = answer.standin_for
    if isinstance(answer, Answer):
        timing = answer.timing
        out["server-timing"] = (
            f"queue;dur={timing.queue * 1e3:.2f}, load;dur={timing.load * 1e3:.2f}, "
            f"run;dur={timing.run * 1e3:.2f}"
        )
        usage = answer.usage
        if usage.prompt_tokens or usage.completion_tokens:
            out["x-skerry-usage"] = (
                f"prompt={usage.prompt_tokens}, completion={usage.completion_tokens}"
            )
    return out


def _default(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


def dump(value: Any) -> bytes:
    """JSON; numpy arrays straight from their buffers, bytes as base64."""
    return orjson.dumps(value, _default, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def reply(body: bytes, headers: dict[str, str], status: int = 200) -> web.Response:
    """An answer of JSON."""
    headers["Content-Type"] = JSON
    return web.Response(body=body, headers=headers, status=status)


def refuse(error: AiError, form: Form, req_id: str | None = None) -> web.Response:
    """The answer for an error."""
    headers = {"cf-ai-req-id": req_id or new_id()}
    wait = retry_after(error)
    if wait is not None:
        headers["Retry-After"] = wait
    return reply(form(error), headers, error.status)


def fault(error: Exception, what: str) -> InternalError:
    """An unforeseen exception, logged with its traceback and told without its details."""
    log.error("%s failed: %r", what, error, exc_info=error)
    return InternalError("a fault of this node; its log tells more")
