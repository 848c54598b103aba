"""Cloudflare's REST API: ai/run in its two forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from aiohttp import web

from skerry.api.answers import dump
from skerry.api.body import inputs_of, parse_object, read
from skerry.api.errors import cloudflare_form
from skerry.api.face import Face, flag
from skerry.api.guard import guarded
from skerry.api.running import respond
from skerry.errors import InvalidInput
from skerry.types import Inputs

BASE = "/client/v4/accounts/{account}/ai"

_HEAD = b'{"result":'
_TAIL = b',"success":true,"errors":[],"messages":[]}'


def envelope(value: Any, info: dict[str, int] | None = None) -> bytes:
    """A result in Cloudflare's envelope."""
    if info is None:
        return b"".join((_HEAD, dump(value), _TAIL))
    return b"".join((_HEAD, dump(value), b',"result_info":', dump(info), _TAIL[:-1], b"}"))


def model_in_path(request: web.Request) -> str:
    """The model's name as the raw path has it, decoded once: @cf/a/b and @cf%2Fa%2Fb alike.

    Raises InvalidInput for what is not UTF-8.
    """
    raw = request.rel_url.raw_path.split("/", 7)[7]
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidInput("the path is not UTF-8") from error


class RunFace:
    """POST ai/run/{model} and POST ai/run with {model, input}."""

    def __init__(self, face: Face) -> None:
        self._face = face

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{BASE}/run/{{model:.+}}", guarded(self.run_model, cloudflare_form)),
            web.post(f"{BASE}/run", guarded(self.run, cloudflare_form)),
        ]

    async def run_model(self, request: web.Request) -> web.StreamResponse:
        """The model is in the path, the body is its input."""
        face = self._face
        entry = face.entry(model_in_path(request))
        task = face.task(entry)
        inputs = inputs_of(request, await read(request, face.limit(task)), task)
        return await self._answer(request, entry.name, inputs, False)

    async def run(self, request: web.Request) -> web.StreamResponse:
        """The body names the model: {"model": …, "input": {…}, "options": {…}}."""
        face = self._face
        data = await read(request, face.settings.max_body)
        body = parse_object(data)
        model, inputs, options = body.get("model"), body.get("input"), body.get("options") or {}
        if not isinstance(model, str):
            raise InvalidInput("model: name the model to run")
        if not isinstance(inputs, dict):
            raise InvalidInput("input: give the model's input as an object")
        if not isinstance(options, dict):
            raise InvalidInput("options: not an object")
        entry = face.entry(model)
        face.check_size(len(data), face.task(entry))
        if options.get("queueRequest"):
            raise _no_batch()
        busy = options.get("rejectIfBusy", False)
        if not isinstance(busy, bool):
            raise InvalidInput("options.rejectIfBusy: not true or false")
        return await self._answer(request, entry.name, inputs, busy)

    async def _answer(
        self, request: web.Request, model: str, inputs: Inputs, busy: bool
    ) -> web.StreamResponse:
        if request.rel_url.raw_query_string and flag(
            "queueRequest", request.query.get("queueRequest", "")
        ):
            raise _no_batch()
        face = self._face
        run = face.inference(
            request, model, inputs, stream=inputs.get("stream") is True, reject_if_busy=busy
        )
        return await respond(face, request, run, form=cloudflare_form, whole=envelope)


def _no_batch() -> InvalidInput:
    return InvalidInput(
        "queueRequest: the asynchronous batch API is not served by this version; "
        "send each request by itself"
    )
