"""Cloudflare's REST API: what models there are, and their schemas."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from skerry.api.answers import reply
from skerry.api.cloudflare import BASE, envelope
from skerry.api.errors import cloudflare_form
from skerry.api.face import Face, flag
from skerry.api.guard import guarded
from skerry.catalog.entry import Entry
from skerry.errors import InvalidInput
from skerry.tasks.base import Task
from skerry.tasks.validate import input_schema

PER_PAGE = 50
MOST_PER_PAGE = 1000


def task_id(name: str) -> str:
    """A task's UUID: stable, made of its name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"skerry:task:{name}"))


class ModelsFace:
    """GET models/search, models/schema, tasks/search and authors/search."""

    def __init__(self, face: Face) -> None:
        self._face = face

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{BASE}/models/search", guarded(self.search, cloudflare_form)),
            web.get(f"{BASE}/models/schema", guarded(self.schema, cloudflare_form)),
            web.get(f"{BASE}/tasks/search", guarded(self.task_search, cloudflare_form)),
            web.get(f"{BASE}/authors/search", guarded(self.author_search, cloudflare_form)),
        ]

    async def search(self, request: web.Request) -> web.StreamResponse:
        """The models, filtered by search, task, author and source, a page at a time.

        hide_experimental leaves out those whose files nobody has seen (evidence "unverified");
        deprecated ones come only with include_deprecated.
        """
        return _page(request, self.found(request.query))

    def found(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The models that a search asks for, without paging. Raises InvalidInput."""
        if query.get("format"):
            raise InvalidInput("format: other marketplaces' formats are not served; leave it out")
        words = query.get("search", "").lower()
        task = query.get("task", "").lower()
        author = query.get("author", "").lower()
        hide = flag("hide_experimental", query.get("hide_experimental", ""))
        retired = flag("include_deprecated", query.get("include_deprecated", ""))
        ours = query.get("source", "1") in ("", "1", "1.0")
        found = [
            entry
            for entry in self._face.models.entries()
            if ours
            and words in f"{entry.name}\n{entry.description}".lower()
            and (not task or task in (entry.task.lower(), self._title(entry).lower()))
            and (not author or author == _author(entry).lower())
            and not (hide and entry.evidence == "unverified")
            and (retired or entry.deprecation is None)
        ]
        return [self._listed(entry) for entry in found]

    async def schema(self, request: web.Request) -> web.StreamResponse:
        """The JSON Schemas of a model's input and output: those that validate."""
        name = request.query.get("model")
        if not name:
            raise InvalidInput("model: name the model in the query, ?model=@cf/author/name")
        entry = self._face.entry(name)
        task = self._face.task(entry)
        result = {
            "input": input_schema(task, entry.schema, entry.options),
            "output": task.output_schema,
        }
        return reply(envelope(result), {})

    async def task_search(self, request: web.Request) -> web.StreamResponse:
        """The tasks that this node serves."""
        return _page(request, [_task(task) for task in self._face.tasks.values()])

    async def author_search(self, request: web.Request) -> web.StreamResponse:
        """The authors of the models."""
        authors = sorted({_author(entry) for entry in self._face.models.entries()})
        return _page(request, [{"id": name, "name": name} for name in authors])

    def _title(self, entry: Entry) -> str:
        task = self._face.tasks.get(entry.task)
        return task.title if task is not None else entry.task

    def _listed(self, entry: Entry) -> dict[str, Any]:
        task = self._face.tasks.get(entry.task)
        return {
            "id": entry.id,
            "source": 1,
            "name": entry.name,
            "description": entry.description,
            "task": {"id": task_id(entry.task), "name": entry.task, "description": ""}
            if task is None
            else _task(task),
            "tags": [],
            "properties": _properties(entry),
        }


def _task(task: Task) -> dict[str, str]:
    text = (type(task).__doc__ or "").strip().splitlines()
    return {
        "id": task_id(task.name),
        "name": task.title,
        "description": text[0] if text else "",
    }


def _author(entry: Entry) -> str:
    return entry.author or entry.name.split("/")[-2].lstrip("@")


def _properties(entry: Entry) -> list[dict[str, Any]]:
    found: dict[str, Any] = {}
    if entry.context is not None:
        found["context_window"] = str(entry.context)
    if entry.licence_url is not None:
        found["terms"] = entry.licence_url
    if entry.lora:
        found["lora"] = "true"
    if entry.evidence == "unverified":
        found["beta"] = "true"
    if entry.deprecation is not None:
        found["planned_deprecation_date"] = entry.deprecation.date
    return [{"property_id": name, "value": value} for name, value in found.items()]


def _page(request: web.Request, items: list[Any]) -> web.Response:
    """A page of the items; past the last one it is empty, which is where clients stop."""
    page = _whole(request, "page", 1, 2**31)
    per_page = _whole(request, "per_page", PER_PAGE, MOST_PER_PAGE)
    part = items[(page - 1) * per_page : page * per_page]
    info = {
        "count": len(part),
        "page": page,
        "per_page": per_page,
        "total_count": len(items),
        "total_pages": -(-len(items) // per_page),
    }
    return reply(envelope(part, info), {})


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12 and 1 <= int(text) <= most):
        raise InvalidInput(f"{name}: {text[:40]!r} is not a whole number from 1 to {most}")
    return int(text)
