"""env.AI: what workerd's own AI binding sends, answered by AI.run.

The wire, measured: POST /run?version=3 with {"inputs", "options"}, the model's name in a header;
under /ai-gateway where options name a gateway. A stream as input comes as the raw body, with the
other inputs in the query. The answer is the bare result; a content type of exactly
application/json makes it an object for the caller, any other a stream.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from skerry.api.answers import dump, fault, refuse, reply
from skerry.api.bindings.base import BindingFace
from skerry.api.body import parse, parse_inputs, parse_object, read
from skerry.api.face import Face
from skerry.api.models import ModelsFace
from skerry.api.running import respond
from skerry.errors import AiError, InvalidInput, MissingBody
from skerry.tasks.base import Task
from skerry.types import InferenceRequest, Inputs, new_id

MODEL_HEADER = "cf-consn-model-id"
RUN = frozenset({"/run", "/ai-gateway/run"})

_parts: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def binding_form(error: AiError) -> bytes:
    """An error as the binding reads it: the caller gets an AiError, "CODE: description"."""
    return msgspec.json.encode(
        {
            "internalCode": error.code,
            "name": "AiError",
            "description": error.message,
            "message": error.message,
        }
    )


class AiFace(BindingFace):
    """Runs models for one account's workers."""

    def __init__(self, face: Face, account: str) -> None:
        self._face = face
        self._account = account
        self._models = ModelsFace(face)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            path = request.path
            if request.method == "POST" and path in RUN:
                return await self._run(request)
            if request.method == "GET" and path == "/ai-api/models/search":
                return reply(dump({"result": self._models.found(request.query)}), {})
            raise InvalidInput(
                f"env.AI: {request.method} {path[:100]} is not served by this version; use run()"
                " and models()"
            )
        except AiError as error:
            return refuse(error, binding_form)
        except ConnectionError:
            raise
        except Exception as error:  # the boundary: the worker sees an AiError in any case
            return refuse(fault(error, f"env.AI {request.path}"), binding_form)

    async def _run(self, request: web.Request) -> web.StreamResponse:
        face = self._face
        name = request.headers.get(MODEL_HEADER, "")
        if not name:
            raise InvalidInput("env.AI.run: name the model to run")
        entry = face.entry(name[name.find("@") :] if "@" in name else name)
        task = face.task(entry)
        data = await read(request, face.limit(task))
        if "userInputs" in request.query:
            inputs, options = _streamed(request, data, task)
        else:
            inputs, options = _posted(data, task)
        run = InferenceRequest(
            model=entry.name,
            inputs=inputs,
            id=new_id(),
            account=self._account,
            stream=inputs.get("stream") is True,
            reject_if_busy=options.get("rejectIfBusy") is True,
        )
        return await respond(face, request, run, form=binding_form, whole=dump)


def _posted(data: bytes, task: Task) -> tuple[Inputs, dict[str, Any]]:
    """{"inputs": {…}, "options": {…}}. Raises InvalidInput, MissingBody."""
    parts = parse(data, _parts)
    if "inputs" not in parts or bytes(parts["inputs"]).strip() == b"null":
        raise MissingBody("env.AI.run: give the model's inputs as the second argument")
    options = parts.get("options")
    given = None if options is None else msgspec.json.decode(options)
    if not isinstance(given, dict | None):
        raise InvalidInput("env.AI.run: options is no object")
    return parse_inputs(parts["inputs"], task), given or {}


def _streamed(request: web.Request, data: bytes, task: Task) -> tuple[Inputs, dict[str, Any]]:
    """The body is the binary input, the query holds the others as JSON and the options."""
    if task.binary_field is None:
        raise InvalidInput(f"{task.name} takes no stream as its input; give an object")
    others = parse_object(request.query["userInputs"].encode() or b"{}")
    return {**others, task.binary_field: data}, {}
