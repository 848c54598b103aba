"""The OpenAI endpoints and where they are mounted."""

from __future__ import annotations

from aiohttp import web

from skerry.api.errors import openai_form
from skerry.api.face import Face
from skerry.api.guard import guarded
from skerry.api.openai.chat import Chat
from skerry.api.openai.completions import Completions
from skerry.api.openai.embeddings import Embeddings
from skerry.api.openai.models import OpenAIModels
from skerry.api.openai.responses import Responses

BASES = ("/client/v4/accounts/{account}/ai/v1", "/v1")


def openai_routes(face: Face) -> list[web.RouteDef]:
    """Every OpenAI endpoint, under Cloudflare's prefix and under OpenAI's own."""
    models, responses = OpenAIModels(face), Responses(face)
    posts = {
        "chat/completions": Chat(face).create,
        "completions": Completions(face).create,
        "embeddings": Embeddings(face).create,
        "responses": responses.create,
    }
    gets = {
        "models": models.list,
        "models/{model:.+}": models.retrieve,
        "responses/{response}": responses.retrieve,
    }
    routes = []
    for base in BASES:
        for path, post in posts.items():
            routes.append(web.post(f"{base}/{path}", guarded(post, openai_form)))
        for path, get in gets.items():
            routes.append(web.get(f"{base}/{path}", guarded(get, openai_form)))
    return routes
