"""What the REST faces of all stores share: the envelope, errors, pages, JSON bodies."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from skerry.api.answers import dump, reply
from skerry.api.errors import cloudflare_form, envelope
from skerry.api.guard import Handler, guarded
from skerry.api.reading import read_body
from skerry.errors import StorageError

ACCOUNT = "/client/v4/accounts/{account}"

T = TypeVar("T")

_DESCRIBED = "_skerry_described"


def stored(handler: Handler, body: Any = None) -> Handler:
    """The handler with the errors of a store in Cloudflare's envelope.

    body: the type of its JSON body, for the OpenAPI document; its docstring stands there, too.
    """

    async def call(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StorageError as error:
            return refused(error)

    made = guarded(call, cloudflare_form)
    setattr(made, _DESCRIBED, (handler, body))
    return made


def described(route: web.RouteDef) -> Any:
    """(handler, body) of a route that `stored` made; None for others."""
    return getattr(route.handler, _DESCRIBED, None)


def refused(error: StorageError) -> web.Response:
    """The answer for an error of a store."""
    headers = {"Retry-After": "1"} if error.status in (429, 503) else {}
    return reply(envelope(error.code or 10000 + error.status, error.message), headers, error.status)


def ok(result: Any, info: dict[str, Any] | None = None, status: int = 200) -> web.Response:
    """A result in Cloudflare's envelope."""
    body: dict[str, Any] = {"result": result, "success": True, "errors": [], "messages": []}
    if info is not None:
        body["result_info"] = info
    return reply(dump(body), {}, status)


def page_of(
    request: web.Request, items: list[T], most: int = 1000
) -> tuple[list[T], dict[str, Any]]:
    """The page that `page` and `per_page` ask for, and its result_info. Raises StorageError.

    Past the end it is empty, which is what tells Cloudflare's clients to stop.
    """
    page = number(request, "page", 1, 1, 1 << 31)
    per_page = number(request, "per_page", 20, 1, most)
    found = items[(page - 1) * per_page : page * per_page]
    return found, {
        "page": page,
        "per_page": per_page,
        "count": len(found),
        "total_count": len(items),
        "total_pages": -(-len(items) // per_page),
    }


def number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query, in its bounds. Raises StorageError."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most:
        return int(text)
    raise StorageError(f"{name}: not a number from {least} to {most}", code=10007)


def part_of_path(request: web.Request, at: int) -> str:
    """The path behind its first `at` slashes, decoded once: it may have slashes of its own.

    Raises StorageError for what is not UTF-8.
    """
    try:
        return unquote_to_bytes(request.rel_url.raw_path.split("/", at)[at]).decode()
    except UnicodeDecodeError as error:
        raise StorageError("the path is not UTF-8") from error


async def json_body(request: web.Request, kind: type[T], limit: int = 1 << 20) -> T:
    """The body as JSON of a type, whatever its label. Raises StorageError."""

    def too_large(size: int) -> None:
        raise StorageError(f"the body is larger than {limit} bytes", code=10413, status=413)

    data = await read_body(request, limit, too_large)
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"the body does not fit: {error}", code=10400) from error
    except RecursionError as error:
        raise StorageError("the body is nested too deeply", code=10400) from error
