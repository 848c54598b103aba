"""The REST faces of the stores in the OpenAPI document, made of their routes: what is served is
what is documented, with the docstring of its handler."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.openapi_parts import REF, Json, account, envelope, json_answer
from skerry.api.storage.rest import described
from skerry.api.storage.routes import storage_routes
from skerry.storage.open import Stores

TAG = {"name": "Storage", "description": "Cloudflare's REST API of the stores of workers."}

_WORDS = {
    "namespace": "A KV namespace's id.",
    "key": "A key; it may have slashes.",
    "bucket": "A bucket's name.",
    "queue": "A queue's id, or its name.",
    "consumer": "A consumer's id.",
    "index": "An index's name.",
    "database": "A database's id.",
    "file": "A file's name, as `import` or `export` gave it.",
}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def storage_document() -> tuple[Json, Json]:
    """Paths, and the schemas that they refer to."""
    # Stores open nothing before they are used; the routes only want to be asked for.
    routes = [route for route in storage_routes(Stores(Path(os.devnull))) if described(route)]
    bodies = [body for route in routes if (body := described(route)[1]) is not None]
    refs, schemas = msgspec.json.schema_components(bodies, ref_template=REF + "{name}")
    known = dict(zip(map(repr, bodies), refs, strict=True))
    paths: Json = {}
    names: set[str] = set()
    for route in routes:
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)
        item = paths.setdefault(path, {"parameters": _parameters(path)})
        item[route.method.lower()] = _operation(route, names, known)
    return paths, schemas


def _operation(route: web.RouteDef, names: set[str], known: dict[str, Any]) -> Json:
    handler, body = described(route)
    face, _, method = handler.__qualname__.partition(".")
    name = face.removesuffix("Rest") + "".join(part.title() for part in method.split("_"))
    name = name[0].lower() + name[1:]
    if name in names:
        name += route.method.title()
    names.add(name)
    text = inspect.cleandoc(handler.__doc__ or "")
    summary, _, rest = text.partition("\n")
    failed = {"schema": {"$ref": f"{REF}CloudflareError"}}
    out: Json = {
        "tags": [TAG["name"]],
        "operationId": name,
        "summary": summary.rstrip("."),
        "responses": {
            "200": json_answer("The answer", envelope({})),
            "default": {"description": "An error", "content": {"application/json": failed}},
        },
    }
    if rest.strip():
        out["description"] = rest.strip()
    if route.method in _WITH_BODY:
        kind = "application/json" if body is not None else "*/*"
        schema = {} if body is None else known[repr(body)]
        out["requestBody"] = {"content": {kind: {"schema": schema}}}
    return out


def _parameters(path: str) -> list[Json]:
    return [
        account()
        if name == "account"
        else {
            "name": name,
            "in": "path",
            "required": True,
            "description": _WORDS.get(name, "An id."),
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]
