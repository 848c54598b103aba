"""What is answered where no route fits: 404, 405 and OPTIONS, in the dialect of the path."""

from __future__ import annotations

from aiohttp import web

from skerry.api.answers import reply
from skerry.api.errors import anthropic_object, envelope, openai_object


def speaks_openai(path: str) -> bool:
    """Does this path belong to the OpenAI faces?"""
    return path == "/v1" or path.startswith("/v1/") or "/ai/v1/" in path


def speaks_anthropic(path: str) -> bool:
    """Does this path belong to Anthropic's face?"""
    return speaks_openai(path) and "/v1/messages" in path


def dialect_error(request: web.Request, status: int, code: int, word: str, message: str) -> bytes:
    """An error body as the clients of this path read it."""
    if speaks_anthropic(request.path):
        return anthropic_object(status, message, None)
    if speaks_openai(request.path):
        return openai_object(status, word, message, None)
    return envelope(code, message)


async def _methods(request: web.Request) -> set[str]:
    """What this path can be asked with."""
    found: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != FALLBACK:
            _, methods = await resource.resolve(request)
            found |= methods
    return found


async def _fallback(request: web.Request) -> web.StreamResponse:
    methods = await _methods(request)
    if request.method == "OPTIONS" and methods:
        return _options(request, methods)
    if methods:
        allow = ", ".join(sorted({*methods, "OPTIONS"}))
        body = dialect_error(
            request,
            405,
            10405,
            "method_not_allowed",
            f"{request.method} is not allowed for {request.path[:200]}; use {allow}",
        )
        return reply(body, {"Allow": allow}, 405)
    body = dialect_error(
        request,
        404,
        7003,
        "not_found",
        f"Could not route to {request.path[:200]}, perhaps your object identifier is invalid?"
        " /docs lists what there is",
    )
    return reply(body, {}, 404)


def _options(request: web.Request, methods: set[str]) -> web.Response:
    allow = ", ".join(sorted({*methods, "OPTIONS"}))
    headers = {"Allow": allow}
    if "Origin" in request.headers:
        headers["Access-Control-Allow-Methods"] = allow
        asked = request.headers.get("Access-Control-Request-Headers")
        if asked:
            headers["Access-Control-Allow-Headers"] = asked
        headers["Access-Control-Max-Age"] = "600"
    return web.Response(status=204, headers=headers)


FALLBACK = "/{path}"
"""aiohttp's canonical name of the route that takes what no other does."""


def fallbacks() -> list[web.RouteDef]:
    """The route for all that no other route takes; add it last."""
    return [web.route("*", "/{path:.*}", _fallback)]
