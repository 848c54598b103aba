"""Run an inference and send what comes of it, whole or streamed: one way for several faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from skerry.api.answers import headers_of, refuse, reply
from skerry.api.errors import Form
from skerry.api.face import Face
from skerry.api.sse import begun, cloudflare_events, send
from skerry.errors import AiError
from skerry.types import Answer, InferenceRequest


async def respond(
    face: Face,
    request: web.Request,
    run: InferenceRequest,
    *,
    form: Form,
    whole: Callable[[Any], bytes],
) -> web.StreamResponse:
    """The answer to `run` as Cloudflare sends it: JSON that `whole` writes, bytes as they are,
    or its stream of events. Errors in `form`."""
    try:
        answer = await face.ai.run(run)
        if isinstance(answer, Answer):
            headers = headers_of(answer, run.id)
            if answer.content_type is not None:
                headers["Content-Type"] = answer.content_type
                return web.Response(body=answer.value, headers=headers)
            return reply(whole(answer.value), headers)
        pieces = await begun(answer.pieces)
    except AiError as error:
        return refuse(error, form, run.id)
    return await send(
        request,
        cloudflare_events(pieces),
        [pieces],
        headers_of(answer, run.id),
        form,
        run.timeout or face.settings.timeout,
    )
