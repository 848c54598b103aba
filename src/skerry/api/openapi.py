"""The OpenAPI document, made of the schemas that validate and of the table of errors."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from skerry.api.anthropic.messages import MessagesBody
from skerry.api.errors import error_rows
from skerry.api.openai.chat import ChatBody
from skerry.api.openai.completions import CompletionBody
from skerry.api.openai.embeddings import EmbeddingsBody
from skerry.api.openai.responses import ResponseBody
from skerry.api.openapi_parts import (
    REF,
    STREAM,
    Json,
    account,
    envelope,
    error_answers,
    error_schemas,
    failures_of,
    json_answer,
    model,
    operation,
    options,
    query,
)
from skerry.api.storage.document import TAG, storage_document
from skerry.tasks.base import Task

ACCOUNT = "/client/v4/accounts/{account}"


def document(tasks: Mapping[str, Task], version: str) -> Json:
    """The whole document, OpenAPI 3.1."""
    schemas, [messages, *openai] = _schemas(tasks)
    paths: Json = {
        f"{ACCOUNT}/ai/run/{{model}}": {"parameters": [account(), model()], "post": _run(tasks)},
        f"{ACCOUNT}/ai/run": {"parameters": [account()], "post": _run_in_body(tasks)},
        f"{ACCOUNT}/ai/models/search": {"parameters": [account()], "get": _search()},
        f"{ACCOUNT}/ai/models/schema": {"parameters": [account()], "get": _schema()},
        f"{ACCOUNT}/ai/tasks/search": {
            "parameters": [account()],
            "get": _listing("The tasks that this node serves", "listTasks"),
        },
        f"{ACCOUNT}/ai/authors/search": {
            "parameters": [account()],
            "get": _listing("The authors of the models", "listAuthors"),
        },
    }
    for base, suffix, parameters in (
        ("/v1", "", []),
        (f"{ACCOUNT}/ai/v1", "OfAccount", [account()]),
    ):
        for path, item in _openai_paths(openai, suffix).items():
            paths[base + path] = {"parameters": parameters + item.pop("parameters", []), **item}
        paths[f"{base}/messages"] = {"parameters": parameters, "post": _messages(messages, suffix)}
    stored, bodies = storage_document()
    schemas |= bodies
    paths |= stored | _node_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Skerry",
            "version": version,
            "summary": "Workers AI models on machines you own",
            "description": "Models answer over Cloudflare's REST API, over the OpenAI API and over"
            " Anthropic's Messages API."
            " Which fields a model takes is told by models/schema. Headers of every inference:"
            " cf-ai-req-id, x-skerry-model (the model that answered), x-skerry-standin (the model"
            " that was asked for, where a stand-in answered), server-timing and x-skerry-usage.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "Cloudflare", "description": "The REST API of Workers AI, with its envelope."},
            {"name": "OpenAI", "description": "The OpenAI API; names with or without their @."},
            {"name": "Anthropic", "description": "The Messages API, over the same models."},
            TAG,
            {"name": "Node", "description": "The state and the description of this node."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": error_answers(),
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
    bodies = [MessagesBody, ChatBody, CompletionBody, EmbeddingsBody, ResponseBody]
    refs, found = msgspec.json.schema_components(bodies, ref_template=REF + "{name}")
    for task in tasks.values():
        found[f"{task.name}.input"] = task.input_schema
        found[f"{task.name}.output"] = task.output_schema
    found |= error_schemas()
    return found, list(refs)


def _refs(tasks: Mapping[str, Task], end: str) -> Json:
    return {"anyOf": [{"$ref": f"{REF}{task.name}.{end}"} for task in tasks.values()]}


_BYTES = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}


def _run(tasks: Mapping[str, Task]) -> Json:
    ok = json_answer("The answer", envelope(_refs(tasks, "output")))
    ok["content"] |= {"text/event-stream": STREAM, "audio/*": _BYTES, "image/*": _BYTES}
    run = operation("Cloudflare", "runModel", "Run a model", ok, failures_of("Cloudflare"))
    body = {"application/json": {"schema": _refs(tasks, "input")}}
    binary = sorted(task.name for task in tasks.values() if task.binary_field is not None)
    if binary:
        body |= dict.fromkeys(("application/octet-stream", "image/*", "audio/*"), _BYTES)
    return run | {
        "description": "The body is the model's input. For "
        + ", ".join(binary)
        + " it may be the file itself; the query then holds the other fields."
        " With `stream` true, text generation answers as server-sent events.",
        "parameters": options(),
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
        query("page", "integer", "From 1; past the last page the result is empty.")
        | {"schema": whole},
        query("per_page", "integer", "50 where it is not given.")
        | {"schema": {**whole, "maximum": 1000}},
    ]


def _listing(summary: str, name: str) -> Json:
    ok = json_answer("A page", envelope({"type": "array", "items": {"type": "object"}}))
    found = operation("Cloudflare", name, summary, ok, failures_of("Cloudflare"))
    return found | {"parameters": _paging()}


def _search() -> Json:
    found = _listing("The models of the catalog", "searchModels")
    found["parameters"] += [
        query("search", "string", "Part of a name or description."),
        query("task", "string", "A task's name or title."),
        query("author", "string", "An author."),
        query("source", "number", "1: this catalog."),
        query("hide_experimental", "boolean", "Leave out models whose files nobody has seen."),
        query("include_deprecated", "boolean", "Retired models too."),
    ]
    return found


def _schema() -> Json:
    result = {
        "type": "object",
        "properties": {"input": {"type": "object"}, "output": {"type": "object"}},
        "required": ["input", "output"],
    }
    summary = "The JSON Schemas of a model's input and output"
    found = operation(
        "Cloudflare",
        "modelSchema",
        summary,
        json_answer("The schemas", envelope(result)),
        failures_of("Cloudflare"),
    )
    model = query("model", "string", "The model.") | {"required": True}
    return found | {"parameters": [model]}


def _messages(body: Json, suffix: str) -> Json:
    shape = {"type": "object", "required": ["id", "type", "role", "content", "stop_reason"]}
    ok = json_answer("The message", shape)
    ok["content"]["text/event-stream"] = {
        "schema": {"type": "string", "description": "Server-sent events, the last message_stop."}
    }
    name = f"createMessage{suffix}"
    made = operation("Anthropic", name, "Make a message", ok, failures_of("Anthropic"))
    return made | {
        "parameters": options(),
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
    }


def _openai_paths(bodies: list[Json], suffix: str) -> Json:
    out: Json = {}
    names = ("chat/completions", "completions", "embeddings", "responses")
    texts = ("Answer a conversation", "Go on with a text", "Texts to vectors", "Make a response")
    for path, text, body in zip(names, texts, bodies, strict=True):
        ok = json_answer("The answer", {"type": "object"})
        if path != "embeddings":
            ok["content"]["text/event-stream"] = STREAM
        name = "create" + "".join(word.title() for word in path.split("/")) + suffix
        out[f"/{path}"] = {
            "post": operation("OpenAI", name, text, ok, failures_of("OpenAI"))
            | {
                "parameters": options(),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": body}},
                },
            }
        }
    listed = json_answer("The models", {"type": "object", "required": ["object", "data"]})
    one = json_answer("The model", {"type": "object", "required": ["id", "object"]})
    failures = failures_of("OpenAI")
    out["/models"] = {
        "get": operation("OpenAI", f"listModels{suffix}", "The models", listed, failures)
    }
    out["/models/{model}"] = {
        "parameters": [model()],
        "get": operation("OpenAI", f"retrieveModel{suffix}", "One model", one, failures),
    }
    failures = {"400": failures["400"]} | {k: v for k, v in failures.items() if k != "400"}
    gone = operation("OpenAI", f"retrieveResponse{suffix}", "Not kept: 400", {}, failures)
    del gone["responses"]["200"]
    response = account() | {"name": "response", "description": "A response's id.", "example": "r"}
    out["/responses/{response}"] = {"parameters": [response], "get": gone}
    return out


def _node_paths() -> Json:
    plain: Json = {"type": "object"}

    def get(name: str, summary: str, ok: Json) -> Json:
        return {"get": operation("Node", name, summary, ok, {})}

    html = {"content": {"text/html": {"schema": {"type": "string"}}}}
    ready = get("ready", "Are the models of `preload` resident?", json_answer("They are", plain))
    ready["get"]["responses"]["503"] = json_answer("Not yet; the body names them", plain)
    text = {"type": "string"}
    logs = get(
        "workerLogs",
        "What workers say, as it happens: server-sent events, one log event each",
        {"description": "The stream", "content": {"text/event-stream": {"schema": text}}},
    )
    logs["parameters"] = [
        account(),
        query("worker", "string", "Only this worker's."),
        query("recent", "integer", "First tell so many of the last events, at most 200."),
    ]
    return {
        f"{ACCOUNT}/workers/logs": logs,
        "/healthz": get("live", "Does the process answer?", json_answer("It does", plain)),
        "/readyz": ready,
        "/version": get("version", "The version of Skerry", json_answer("The version", plain)),
        "/openapi.json": get("openapi", "This document", json_answer("OpenAPI 3.1", plain)),
        "/docs": get("docs", "This document to be read", {"description": "A page", **html}),
        "/": get(
            "home", "What this node is, and where to go on", {"description": "A page", **html}
        ),
    }
