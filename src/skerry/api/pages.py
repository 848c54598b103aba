"""/openapi.json, and the same document to be read: /docs; and the page at /."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.answers import reply
from skerry.api.openapi import document
from skerry.tasks.base import Task

_METHODS = ("get", "post", "put", "delete", "patch")

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--link:#0b62c4;--mark:#7a3e00}
@media(prefers-color-scheme:dark){:root{--link:#7db8ff;--mark:#ffc58a}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:0 auto;padding:1rem}
a{color:var(--link)}
h1{font-size:1.7rem;margin:.5rem 0}
h2{margin:2.5rem 0 .5rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .3rem;overflow-wrap:anywhere}
code,pre{font:.9em/1.45 ui-monospace,monospace}
code{overflow-wrap:anywhere}
pre{background:var(--soft);padding:.7rem;overflow:auto;border-radius:.4rem;max-height:28rem}
.verb{color:var(--mark);font-weight:700}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0}
td code{overflow-wrap:break-word}
td,th{border-bottom:1px solid var(--line)}
summary{cursor:pointer;margin-top:.4rem}
a:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}
"""


_QUOTED = re.compile("`([^`]+)`")


class Pages:
    """The description of the node; made once, since it does not change while the node runs."""

    def __init__(self, tasks: Mapping[str, Task], version: str) -> None:
        found = document(tasks, version)
        self._json = msgspec.json.encode(found)
        self._docs = _page(f"Skerry {version}: API", _docs(found))
        self._version = version

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/openapi.json", self.openapi),
            web.get("/docs", self.docs),
            web.get("/", self.home),
        ]

    async def openapi(self, request: web.Request) -> web.Response:
        """The OpenAPI document."""
        return reply(self._json, {})

    async def docs(self, request: web.Request) -> web.Response:
        """The document as a page."""
        return _html(self._docs)

    async def home(self, request: web.Request) -> web.Response:
        """Where to go on from here."""
        return _html(_page("Skerry", _home(self._version, f"{request.scheme}://{request.host}")))


def _html(body: bytes) -> web.Response:
    return web.Response(
        body=body,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'sha256-"
            + _style_hash()
            + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )


def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def _page(title: str, body: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<main>{body}</main></body></html>"
    ).encode()


def _home(version: str, url: str) -> str:
    return (
        f"<h1>Skerry {escape(version)}</h1>"
        "<p>Workers AI models, answering on this machine.</p>"
        '<ul><li><a href="/docs">API reference</a></li>'
        '<li><a href="/openapi.json">OpenAPI document</a></li>'
        '<li><a href="/v1/models">Models</a></li>'
        '<li><a href="/readyz">Is it ready?</a></li></ul>'
        "<p>Try it:</p><pre><code>"
        f"curl {escape(url)}/client/v4/accounts/local/ai/run/@skerry/minilm-sst2 \\\n"
        "  -d '{&quot;text&quot;: &quot;A lovely flat.&quot;}'</code></pre>"
    )


def _docs(found: Mapping[str, Any]) -> str:
    info = found["info"]
    parts = [
        f"<h1>{escape(info['title'])} {escape(info['version'])}: API</h1>",
        f"<p>{_prose(info['description'])}</p>",
        _contents(tag["name"] for tag in found["tags"]),
    ]
    for tag in found["tags"]:
        name = escape(tag["name"])
        parts.append(f'<h2 id="{name}">{name}</h2><p>{_prose(tag["description"])}</p>')
        parts += [
            _operation(path, method, item[method], item.get("parameters", []))
            for path, item in found["paths"].items()
            for method in _METHODS
            if method in item and tag["name"] in item[method]["tags"]
        ]
    schemas: Mapping[str, Any] = found["components"]["schemas"]
    parts.append('<h2 id="tasks">Tasks</h2>')
    parts += [_schema(name, schema) for name, schema in schemas.items() if name.endswith("put")]
    parts.append('<h2 id="errors">Errors</h2>' + _errors(found["x-errors"]))
    parts.append('<h2 id="schemas">Other bodies</h2>')
    parts += [_schema(name, s) for name, s in schemas.items() if not name.endswith("put")]
    return "".join(parts)


def _contents(tags: Iterable[str]) -> str:
    """Links to the parts of the page."""
    places = {tag: f"#{tag}" for tag in tags}
    places |= {"Tasks": "#tasks", "Errors": "#errors", "Other bodies": "#schemas"}
    places["OpenAPI document"] = "/openapi.json"
    links = (f'<a href="{escape(at)}">{escape(name)}</a>' for name, at in places.items())
    return f"<nav>{' · '.join(links)}</nav>"


def _prose(text: str) -> str:
    """A text as HTML; what stands between backticks is code."""
    return _QUOTED.sub(r"<code>\1</code>", escape(text))


def _operation(path: str, method: str, what: Mapping[str, Any], shared: list[Any]) -> str:
    rows = [
        (
            f"<code>{escape(each['name'])}</code>",
            escape(each["in"]) + (", required" if each.get("required") else ""),
            _prose(each.get("description", "")),
        )
        for each in [*shared, *what.get("parameters", [])]
    ]
    head = (
        f'<h3 id="{escape(what["operationId"])}"><span class="verb">{method.upper()}</span> '
        f"<code>{escape(path)}</code></h3><p>{_prose(what['summary'])}."
        f" {_prose(what.get('description', ''))}</p>"
    )
    text = [head]
    if rows:
        text.append(_table(("Parameter", "In", "Meaning"), rows))
    body = what.get("requestBody", {}).get("content", {})
    if body:
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body)
        links = ", ".join(dict.fromkeys(_links(body.get("application/json", {}).get("schema", {}))))
        text.append(f"<p>Body: {kinds}{': ' + links if links else ''}</p>")
    statuses = ", ".join(f"<code>{escape(status)}</code>" for status in what["responses"])
    text.append(f"<p>Answers: {statuses}</p>")
    return "".join(text)


def _links(schema: Any) -> Iterable[str]:
    """A link to each schema that is named inside `schema`."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            name = escape(schema["$ref"].rsplit("/", 1)[-1])
            yield f'<a href="#s-{name}">{name}</a>'
        for part in schema.values():
            yield from _links(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _links(part)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"<code>{escape(field)}</code>",
            escape(_kind(what)) + (", required" if field in required else ""),
            _prose(what.get("description", "")),
        )
        for field, what in schema.get("properties", {}).items()
    ]
    table = _table(("Field", "Type", "Meaning"), rows) if rows else ""
    raw = escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return (
        f'<h3 id="s-{escape(name)}">{escape(name)}</h3>{table}'
        f"<details><summary>JSON Schema</summary><pre><code>{raw}</code></pre></details>"
    )


def _kind(what: Any) -> str:
    if not isinstance(what, dict):
        return ""
    if "type" in what:
        kind = what["type"]
        return " or ".join(kind) if isinstance(kind, list) else str(kind)
    forms = what.get("anyOf") or what.get("oneOf") or []
    return " or ".join(dict.fromkeys(filter(None, map(_kind, forms))))


def _errors(rows: Iterable[Mapping[str, Any]]) -> str:
    return _table(
        ("Code", "HTTP", "OpenAI code", "Meaning"),
        [
            (
                str(row["code"]),
                str(row["status"]),
                f"<code>{escape(row['openai_code'])}</code>",
                _prose(row["meaning"]),
            )
            for row in rows
        ],
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'
