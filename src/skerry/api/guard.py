"""The boundary around every handler: foreign pages refused, errors in the caller's dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from skerry.api.answers import fault, refuse
from skerry.api.errors import Form
from skerry.api.origins import GUARD
from skerry.errors import AiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(handler: Handler, form: Form) -> Handler:
    """The handler with its errors written in the dialect of `form`.

    A closure on the handler itself: aiohttp's middlewares cost more on each request.
    """

    async def call(request: web.Request) -> web.StreamResponse:
        try:
            if "Origin" in request.headers:
                foreign = request.app[GUARD].refusal(request)
                if foreign is not None:
                    return foreign
            return await handler(request)
        except AiError as error:
            return refuse(error, form)
        except ConnectionError:
            raise  # the client went away
        except web.HTTPException:
            raise
        except Exception as error:  # the boundary: no exception leaves without its envelope
            return refuse(fault(error, f"{request.method} {request.path}"), form)

    return call
