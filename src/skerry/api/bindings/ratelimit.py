"""Rate limits: POST {key, limit?, period?, delta?} -> {success}."""

from __future__ import annotations

import msgspec
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.ratelimit.base import MAX_KEY, RateLimitError, RateLimits

_BODY = 8 * MAX_KEY


class _Call(msgspec.Struct):
    key: str
    delta: int = 1


class RateLimitFace(BindingFace):
    """A rate limit of a worker. Limit and period are the binding's, whatever the body says."""

    def __init__(self, limits: RateLimits, namespace: str, limit: int, period: float) -> None:
        """period: seconds."""
        self._limits = limits
        self._namespace = namespace
        self._limit = limit
        self._period = period

    async def handle(self, request: web.Request) -> web.StreamResponse:
        def check(size: int) -> None:
            raise RateLimitError(f"a body of {size} bytes is too large", status=413)

        try:
            if request.method != "POST":
                raise RateLimitError("POST {key}", status=405)
            call = msgspec.json.decode(await read_body(request, _BODY, check), type=_Call)
            success = await self._limits.limit(
                self._namespace,
                call.key,
                limit=self._limit,
                period=self._period,
                delta=call.delta,
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _json({"error": f"limit() takes an object with a string `key`: {error}"}, 400)
        except StorageError as error:
            return _json({"error": error.message}, error.status)
        return _json({"success": success}, 200)


def _json(value: dict[str, object], status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), content_type="application/json", status=status
    )
