"""The OpenAPI document, made of the schemas that validate and of the table of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from skerry.api.errors import error_rows
from skerry.api.openai.chat import ChatBody
from skerry.api.openai.completions import CompletionBody
from skerry.api.openai.embeddings import EmbeddingsBody
from skerry.api.openai.responses import ResponseBody
from skerry.tasks.base import Task

Json = dict[str, Any]

ACCOUNT = "/client/v4/accounts/{account}"
_REF = "#/components/schemas/"


def document(tasks: Mapping[str, Task], version: str) -> Json:
    """The whole document, OpenAPI 3.1."""
    schemas, openai = _schemas(tasks)
    paths: Json = {
        f"{ACCOUNT}/ai/run/{{model}}": {"parameters": [_account(), _model()], "post": _run(tasks)},
        f"{ACCOUNT}/ai/run": {"parameters": [_account()], "post": _run_in_body(tasks)},
        f"{ACCOUNT}/ai/models/search": {"parameters": [_account()], "get": _search()},
        f"{ACCOUNT}/ai/models/schema": {"parameters": [_account()], "get": _schema()},
        f"{ACCOUNT}/ai/tasks/search": {
            "parameters": [_account()],
            "get": _listing("The tasks that this node serves", "listTasks"),
        },
        f"{ACCOUNT}/ai/authors/search": {
            "parameters": [_account()],
            "get": _listing("The authors of the models", "listAuthors"),
        },
    }
    for base, suffix, parameters in (
        ("/v1", "", []),
        (f"{ACCOUNT}/ai/v1", "OfAccount", [_account()]),
    ):
        for path, item in _openai_paths(openai, suffix).items():
            paths[base + path] = {"parameters": parameters + item.pop("parameters", []), **item}
    paths |= _node_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Skerry",
            "version": version,
            "summary": "Workers AI models on machines you own",
            "description": "Models answer over Cloudflare's REST API and over the OpenAI API."
            " Which fields a model takes is told by models/schema. Headers of every inference:"
            " cf-ai-req-id, x-skerry-model (the model that answered), x-skerry-standin (the model"
            " that was asked for, where a stand-in answered), server-timing and x-skerry-usage.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "Cloudflare", "description": "The REST API of Workers AI, with its envelope."},
            {"name": "OpenAI", "description": "The OpenAI API; names with or without their @."},
            {"name": "Node", "description": "The state and the description of this node."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": _errors(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Taken and not looked at while a node has no tokens.",
                }
            },
        },
        "security": [{}, {"bearer": []}],
        "x-errors": [
            dict(zip(("code", "status", "name", "openai_code", "meaning"), row, strict=True))
            for row in error_rows()
        ],
    }


def _schemas(tasks: Mapping[str, Task]) -> tuple[Json, list[Json]]:
    bodies = [ChatBody, CompletionBody, EmbeddingsBody, ResponseBody]
    refs, found = msgspec.json.schema_components(bodies, ref_template=_REF + "{name}")
    for task in tasks.values():
        found[f"{task.name}.input"] = task.input_schema
        found[f"{task.name}.output"] = task.output_schema
    found["CloudflareError"] = {
        "type": "object",
        "properties": {
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"message": {"type": "string"}, "code": {"type": "integer"}},
                    "required": ["message", "code"],
                },
            },
            "success": {"const": False},
            "result": {"type": "object"},
            "messages": {"type": "array"},
        },
        "required": ["errors", "success", "result", "messages"],
    }
    text, number = {"type": "string"}, {"type": ["integer", "null"]}
    found["OpenAIError"] = {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": text,
                    "type": text,
                    "param": {"type": ["string", "null"]},
                    "code": text,
                    "cloudflare_code": number,
                },
                "required": ["message", "type", "code"],
            }
        },
        "required": ["error"],
    }
    return found, list(refs)


def _errors() -> Json:
    """One response per status and dialect, naming every code that comes with it."""
    rows: dict[int, list[str]] = {}
    words: dict[int, list[str]] = {}
    for code, status, _, word, meaning in error_rows():
        rows.setdefault(status, []).append(f"{code}: {meaning}")
        words.setdefault(status, []).append(f"{word}: {meaning}")
    rows.setdefault(403, []).append("10000: A page of this origin may not call the node.")
    words.setdefault(403, []).append("origin_not_allowed: A page of this origin may not call.")
    rows.setdefault(404, []).append("7003: No such route.")
    words.setdefault(404, []).append("not_found: No such route.")
    rows.setdefault(405, []).append("10405: The method is not allowed.")
    words.setdefault(405, []).append("method_not_allowed: The method is not allowed.")
    out: Json = {}
    for name, table in (("Cloudflare", rows), ("OpenAI", words)):
        for status, lines in table.items():
            out[f"{name}{status}"] = {
                "description": "\n".join(f"- {line}" for line in lines),
                "content": {"application/json": {"schema": {"$ref": f"{_REF}{name}Error"}}},
            }
            if status == 429:
                out[f"{name}429"]["headers"] = {
                    "Retry-After": {
                        "description": "Seconds to wait, where waiting helps.",
                        "schema": {"type": "integer", "minimum": 1},
                    }
                }
    return out


def _failures(dialect: str) -> Json:
    statuses = {status for _, status, *_ in error_rows()} | {403, 404, 405}
    return {
        str(status): {"$ref": f"#/components/responses/{dialect}{status}"}
        for status in sorted(statuses)
    }


def _account() -> Json:
    return {
        "name": "account",
        "in": "path",
        "required": True,
        "description": "Any id while the node has no tokens; `local` by custom.",
        "schema": {"type": "string", "minLength": 1},
        "example": "local",
    }


def _model() -> Json:
    return {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "@cf/author/name; its slashes may be written as they are or as %2F.",
        "schema": {"type": "string", "minLength": 1},
        "example": "@skerry/minilm-l6-v2",
    }


def _query(name: str, kind: str, text: str) -> Json:
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind}}


def _options() -> list[Json]:
    return [
        _query("rejectIfBusy", "boolean", "Fail at once with 3040 where it would have to wait."),
        {
            "name": "x-skerry-timeout",
            "in": "header",
            "description": "Seconds to wait for the answer, at most the node's own.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        },
        {
            "name": "x-skerry-reject-if-busy",
            "in": "header",
            "description": "The same as rejectIfBusy.",
            "schema": {"type": "boolean"},
        },
    ]


def envelope(result: Json) -> Json:
    """Cloudflare's envelope around a result."""
    return {
        "type": "object",
        "properties": {
            "result": result,
            "success": {"const": True},
            "errors": {"type": "array", "maxItems": 0},
            "messages": {"type": "array"},
            "result_info": {"type": "object"},
        },
        "required": ["result", "success", "errors", "messages"],
    }


def _refs(tasks: Mapping[str, Task], end: str) -> Json:
    return {"anyOf": [{"$ref": f"{_REF}{task.name}.{end}"} for task in tasks.values()]}


def _operation(tag: str, name: str, summary: str, ok: Json, failures: Json) -> Json:
    return {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "responses": {"200": ok, **failures},
    }


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_STREAM = {"schema": {"type": "string", "description": "Server-sent events, the last [DONE]."}}
_BYTES = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}


def _run(tasks: Mapping[str, Task]) -> Json:
    ok = _json("The answer", envelope(_refs(tasks, "output")))
    ok["content"] |= {"text/event-stream": _STREAM, "audio/*": _BYTES, "image/*": _BYTES}
    run = _operation("Cloudflare", "runModel", "Run a model", ok, _failures("Cloudflare"))
    body = {"application/json": {"schema": _refs(tasks, "input")}}
    binary = sorted(task.name for task in tasks.values() if task.binary_field is not None)
    if binary:
        body |= dict.fromkeys(("application/octet-stream", "image/*", "audio/*"), _BYTES)
    return run | {
        "description": "The body is the model's input. For "
        + ", ".join(binary)
        + " it may be the file itself; the query then holds the other fields."
        " With `stream` true, text generation answers as server-sent events.",
        "parameters": _options(),
        "requestBody": {"required": True, "content": body},
    }


def _run_in_body(tasks: Mapping[str, Task]) -> Json:
    run = _run(tasks)
    schema = {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "input": _refs(tasks, "input"),
            "options": {
                "type": "object",
                "properties": {"rejectIfBusy": {"type": "boolean"}},
            },
        },
        "required": ["model", "input"],
    }
    return run | {
        "operationId": "runModelInBody",
        "summary": "Run a model that the body names",
        "description": "As ai/run/{model}, with the model beside its input.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def _paging() -> list[Json]:
    whole = {"type": "integer", "minimum": 1}
    return [
        _query("page", "integer", "From 1; past the last page the result is empty.")
        | {"schema": whole},
        _query("per_page", "integer", "50 where it is not given.")
        | {"schema": {**whole, "maximum": 1000}},
    ]


def _listing(summary: str, name: str) -> Json:
    ok = _json("A page", envelope({"type": "array", "items": {"type": "object"}}))
    found = _operation("Cloudflare", name, summary, ok, _failures("Cloudflare"))
    return found | {"parameters": _paging()}


def _search() -> Json:
    found = _listing("The models of the catalog", "searchModels")
    found["parameters"] += [
        _query("search", "string", "Part of a name or description."),
        _query("task", "string", "A task's name or title."),
        _query("author", "string", "An author."),
        _query("source", "number", "1: this catalog."),
        _query("hide_experimental", "boolean", "Leave out models whose files nobody has seen."),
        _query("include_deprecated", "boolean", "Retired models too."),
    ]
    return found


def _schema() -> Json:
    result = {
        "type": "object",
        "properties": {"input": {"type": "object"}, "output": {"type": "object"}},
        "required": ["input", "output"],
    }
    summary = "The JSON Schemas of a model's input and output"
    found = _operation(
        "Cloudflare",
        "modelSchema",
        summary,
        _json("The schemas", envelope(result)),
        _failures("Cloudflare"),
    )
    model = _query("model", "string", "The model.") | {"required": True}
    return found | {"parameters": [model]}


def _openai_paths(bodies: list[Json], suffix: str) -> Json:
    out: Json = {}
    names = ("chat/completions", "completions", "embeddings", "responses")
    texts = ("Answer a conversation", "Go on with a text", "Texts to vectors", "Make a response")
    for path, text, body in zip(names, texts, bodies, strict=True):
        ok = _json("The answer", {"type": "object"})
        if path != "embeddings":
            ok["content"]["text/event-stream"] = _STREAM
        name = "create" + "".join(word.title() for word in path.split("/")) + suffix
        out[f"/{path}"] = {
            "post": _operation("OpenAI", name, text, ok, _failures("OpenAI"))
            | {
                "parameters": _options(),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": body}},
                },
            }
        }
    listed = _json("The models", {"type": "object", "required": ["object", "data"]})
    one = _json("The model", {"type": "object", "required": ["id", "object"]})
    failures = _failures("OpenAI")
    out["/models"] = {
        "get": _operation("OpenAI", f"listModels{suffix}", "The models", listed, failures)
    }
    out["/models/{model}"] = {
        "parameters": [_model()],
        "get": _operation("OpenAI", f"retrieveModel{suffix}", "One model", one, failures),
    }
    failures = {"400": failures["400"]} | {k: v for k, v in failures.items() if k != "400"}
    gone = _operation("OpenAI", f"retrieveResponse{suffix}", "Not kept: 400", {}, failures)
    del gone["responses"]["200"]
    response = _account() | {"name": "response", "description": "A response's id.", "example": "r"}
    out["/responses/{response}"] = {"parameters": [response], "get": gone}
    return out


def _node_paths() -> Json:
    plain: Json = {"type": "object"}

    def get(name: str, summary: str, ok: Json) -> Json:
        return {"get": _operation("Node", name, summary, ok, {})}

    html = {"content": {"text/html": {"schema": {"type": "string"}}}}
    ready = get("ready", "Are the models of `preload` resident?", _json("They are", plain))
    ready["get"]["responses"]["503"] = _json("Not yet; the body names them", plain)
    return {
        "/healthz": get("live", "Does the process answer?", _json("It does", plain)),
        "/readyz": ready,
        "/version": get("version", "The version of Skerry", _json("The version", plain)),
        "/openapi.json": get("openapi", "This document", _json("OpenAPI 3.1", plain)),
        "/docs": get("docs", "This document to be read", {"description": "A page", **html}),
        "/": get(
            "home", "What this node is, and where to go on", {"description": "A page", **html}
        ),
    }
