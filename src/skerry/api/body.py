"""Reading bodies: bounded, strict, and lenient where Cloudflare's clients need it."""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from skerry.api.face import flag
from skerry.errors import Aborted, InvalidInput, MissingBody, RequestTooLarge
from skerry.tasks.base import Task
from skerry.tasks.binary import LONG
from skerry.tasks.first_bytes import TEXT, first_bytes_of_json
from skerry.types import Inputs

T = TypeVar("T")

UPLOAD_TIMEOUT = 60.0
"""Seconds that the whole body may take to arrive."""

FORM = "application/x-www-form-urlencoded"
OPTIONS = frozenset({"queueRequest", "rejectIfBusy", "tags"})
"""Query parameters of the API itself; the others are input fields of a raw body."""

_FIELD = re.compile(rb'\s*\{\s*"(?P<name>[a-z_]{1,40})"\s*:')
"""The beginning of an object, up to its first value."""
_END = re.compile(rb"\s*\}\s*\Z")
_NUMBERS = {"integer": int, "number": float}


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body is larger than the {limit} bytes that this takes")


async def read(request: web.Request, limit: int) -> bytes:
    """The body, at most `limit` bytes.

    A longer one is refused by its Content-Length before a byte of it is read; a chunked or
    compressed one as soon as it has passed the limit. Raises RequestTooLarge, MissingBody for an
    empty one and Aborted for one that does not arrive.
    """
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    content = request.content
    data = content.read_nowait(-1)
    if not content.at_eof():
        parts, size = [data], len(data)
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT):
                while not content.at_eof() and size <= limit:
                    part = await content.readany()
                    parts.append(part)
                    size += len(part)
        except TimeoutError as error:
            raise Aborted(f"the body did not arrive within {UPLOAD_TIMEOUT:.0f} s") from error
        except web.RequestPayloadError as error:
            raise InvalidInput(f"the body cannot be read: {error}") from error
        data = b"".join(parts)
    if len(data) > limit:
        raise _too_large(limit)
    if not data:
        raise MissingBody("the request has no body; send the input as JSON")
    return data


def parse(data: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    """Strict JSON of the decoder's type. Raises InvalidInput."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        hint = "; send a number that fits in 64 bits" if "out of range" in str(error) else ""
        raise InvalidInput(f"the body does not fit: {error}{hint}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput("the body is nested too deeply") from error


_objects: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_fields: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_object(data: bytes | msgspec.Raw) -> dict[str, Any]:
    """A JSON object. Raises InvalidInput."""
    value = parse(data, _objects)
    if not isinstance(value, dict):
        raise InvalidInput(
            f"the body is {_kind(value)}; send a JSON object with the input's fields"
        )
    return value


def parse_inputs(data: bytes | msgspec.Raw, task: Task) -> Inputs:
    """A JSON object of a task's input fields. Raises InvalidInput.

    The binary field of a long one is left as its JSON text, a msgspec.Raw: to make Python numbers
    of millions of bytes would hold up the loop. The task decodes it, in a thread.
    """
    field = task.binary_field
    size = memoryview(data).nbytes
    if field is None or size <= LONG:
        return parse_object(data)
    begun = _FIELD.match(data)
    if begun and begun["name"] == field.encode():
        head = first_bytes_of_json(bytes(memoryview(data)[begun.end() : begun.end() + TEXT]))
        if head:
            task.sniff(head)
        if isinstance(data, bytes) and (only := _only_list(data, begun.end())):
            return {field: only}
    try:
        parts = _fields.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse_object(data)  # raises, with the reason
    return {name: part if name == field else parse(part, _objects) for name, part in parts.items()}


def _only_list(data: bytes, start: int) -> msgspec.Raw | None:
    """A list that is all there is in an object from `start` on, with its numbers left unread: to
    walk over eight million of them takes 35 ms of the loop."""
    end = data.find(b"]", start)
    if data[start : start + 9].lstrip()[:1] != b"[" or end < 0 or not _END.match(data, end + 1):
        return None
    return msgspec.Raw(memoryview(data)[start : end + 1])


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return kinds.get(type(value), "an array")


def inputs_of(request: web.Request, data: bytes, task: Task) -> Inputs:
    """A task's inputs from a body, whatever its label. Raises InvalidInput.

    For a task with a binary field a body labelled image/*, audio/* or video/* is that field;
    under any other label (octet-stream, curl's form-urlencoded, none) it is, unless it parses as
    a JSON object, which no picture or sound does. The query then holds the other fields. For
    other tasks every body is JSON.
    """
    if task.binary_field is None:
        return parse_object(data)
    label = request.content_type if "Content-Type" in request.headers else FORM
    if label == "multipart/form-data":
        raise InvalidInput(
            f"multipart bodies are not read; send the {task.binary_field} itself as the body,"
            " or as a field of a JSON object"
        )
    if label == "application/json" or label.endswith("+json"):
        return parse_inputs(data, task)
    raw = label.startswith(("image/", "audio/", "video/"))
    if not raw and data.lstrip()[:1] == b"{":
        try:
            return parse_inputs(data, task)
        except InvalidInput:
            if label == "text/plain":
                raise
    return {task.binary_field: data} | query_inputs(request, task.input_schema)


def query_inputs(request: web.Request, schema: dict[str, Any]) -> Inputs:
    """The query as input fields, typed as the schema has them. Raises InvalidInput."""
    if not request.rel_url.raw_query_string:
        return {}
    return {
        key: typed(key, text, _kinds(schema, key))
        for key, text in request.query.items()
        if key not in OPTIONS
    }


def typed(name: str, text: str, kinds: set[str]) -> Any:
    """A text from a query as one of the JSON Schema types in `kinds`. Raises InvalidInput."""
    if not kinds or "string" in kinds:
        return text
    for kind, convert in _NUMBERS.items():
        if kind in kinds:
            try:
                return convert(text)
            except ValueError:
                continue
    if "boolean" in kinds:
        return flag(name, text)
    raise InvalidInput(f"{name}: {text!r} cannot be given in the query as {sorted(kinds)}")


def _kinds(schema: dict[str, Any], name: str) -> set[str]:
    """The types that a schema allows for a property, its alternatives included."""
    found: set[str] = set()
    places = [schema, *schema.get("oneOf", []), *schema.get("anyOf", [])]
    for place in places:
        prop = place.get("properties", {}).get(name)
        if not isinstance(prop, dict):
            continue
        for form in (prop, *prop.get("oneOf", []), *prop.get("anyOf", [])):
            kind = form.get("type")
            found.update([kind] if isinstance(kind, str) else kind or [])
    return found
