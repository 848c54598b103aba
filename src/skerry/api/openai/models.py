"""GET models, and GET models/{model}."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from aiohttp import web

from skerry.api.answers import dump, reply
from skerry.api.errors import openai_object
from skerry.api.openai.base import OpenAIEndpoint
from skerry.catalog.entry import Entry
from skerry.errors import InvalidModelId, NoSuchModel


class OpenAIModels(OpenAIEndpoint):
    """The models in OpenAI's form."""

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Every model that is not retired."""
        found = [_model(each) for each in self.face.models.entries() if each.deprecation is None]
        return reply(dump({"object": "list", "data": found}), {})

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """One model; 404 where there is none, as OpenAI's clients expect of this call."""
        path = request.rel_url.raw_path
        name = unquote(path[path.index("/v1/models/") + len("/v1/models/") :], errors="replace")
        try:
            return reply(dump(_model(self.find(name))), {})
        except (NoSuchModel, InvalidModelId) as error:
            body = openai_object(404, "model_not_found", error.message, error.code)
            return reply(body, {}, 404)


def _model(entry: Entry) -> dict[str, Any]:
    """`created` is 0: the catalog does not know when a model was made."""
    return {
        "id": entry.name,
        "object": "model",
        "created": 0,
        "owned_by": entry.author or entry.name.split("/")[-2].lstrip("@"),
    }
