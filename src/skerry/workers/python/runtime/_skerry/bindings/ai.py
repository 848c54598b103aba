"""`env.AI`: POST /run to the node, as workerd's binding sends it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from _skerry.blobs import Blob
from _skerry.client import Client, Reply
from _skerry.messages import Response
from _skerry.streams import ReadableStream
from _skerry.values import dumps, loads, options, result

SDK = "2.0.0"


class AiError(Exception):
    """What AI.run raises: `str(error)` is "5007: No such model …"; `code` is the number."""

    name = "AiError"

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Ai:
    """A Workers AI binding."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self.lastRequestId: str | None = None
        self.aiGatewayLogId: str | None = None

    @property
    def last_request_id(self) -> str | None:
        return self.lastRequestId

    async def run(self, model: str, inputs: Any = None, options_: Any = None, **kwargs: Any) -> Any:
        """The model's answer: a dict with attribute access, or a ReadableStream.

        options: gateway, returnRawResponse, extraHeaders … as an object or as keywords. Raises
        AiError.
        """
        given = options(options_ if options_ is not None else kwargs.pop("options", None), kwargs)
        raw = bool(given.pop("returnRawResponse", False))
        extra = [(name, str(value)) for name, value in dict(given.pop("extraHeaders", {})).items()]
        gateway = "/ai-gateway" if (given.get("gateway") or {}).get("id") else ""
        headers = [("cf-consn-model-id", str(model)), ("cf-consn-sdk-version", SDK), *extra]
        body: bytes | ReadableStream
        stream = inputs.get("body") if isinstance(inputs, dict) else None
        if isinstance(stream, ReadableStream):
            rest = {
                key: value for key, value in inputs.items() if key not in ("body", "contentType")
            }
            query = {"version": "3", "userInputs": dumps(rest)}
            query |= {
                key: value if isinstance(value, str) else dumps(value)
                for key, value in given.items()
            }
            headers.append(("content-type", str(inputs.get("contentType"))))
            target, body = f"{gateway}/run?{urlencode(query)}", stream
        else:
            headers.append(("content-type", "application/json"))
            target = f"{gateway}/run?version=3"
            body = dumps({"inputs": inputs or {}, "options": given}).encode()
        reply = await self._ask("POST", target, headers, body)
        self.lastRequestId = reply.header("cf-ai-req-id")
        self.aiGatewayLogId = reply.header("cf-aig-log-id")
        if raw:
            return raw_response(reply)
        if reply.status >= 400:
            raise _error(await reply.read())
        if reply.header("content-type") == "application/json":
            return loads(await reply.read())
        return ReadableStream(reply.body)

    async def models(self, search: Any = None, **kwargs: Any) -> Any:
        """The models there are."""
        query = {key: str(value) for key, value in options(search, kwargs).items()}
        target = f"/ai-api/models/search?{urlencode(query)}"
        return await self._result("GET", target, None)

    async def toMarkdown(self, files: Any = None, options_: Any = None) -> Any:
        """Documents as markdown; files: one or a list of {name, blob}."""
        import base64

        many = isinstance(files, list | tuple)
        sent = []
        for each in files if many else [files]:
            blob = each["blob"]
            data = blob.content() if isinstance(blob, Blob) else bytes(blob)
            kind = blob.content_type if isinstance(blob, Blob) else "application/octet-stream"
            encoded = base64.b64encode(data).decode()
            sent.append({"name": each["name"], "mimeType": kind, "data": encoded})
        body = {"files": sent, "options": options_ or {}}
        found = await self._result("POST", "/to-everything/markdown/transformer", body)
        return found if many or not found else found[0]

    def gateway(self, gateway_id: str) -> Gateway:
        return Gateway(self, gateway_id)

    async def _result(self, method: str, target: str, body: Any) -> Any:
        headers = [("content-type", "application/json")] if body is not None else []
        sent = None if body is None else dumps(body).encode()
        reply = await self._ask(method, target, headers, sent)
        data = await reply.read()
        if reply.status >= 400:
            raise _error(data)
        found = loads(data)
        return found.get("result", found) if isinstance(found, dict) else found

    async def _ask(self, method: str, target: str, headers: Any, body: Any) -> Reply:
        return await self._client.request(
            self._name, method, target, headers, body, host="workers-binding.ai"
        )


class Gateway:
    """`env.AI.gateway(id)`."""

    def __init__(self, ai: Ai, gateway_id: str) -> None:
        self._ai = ai
        self._at = f"/ai-gateway/gateways/{quote(gateway_id, safe='')}"
        self._id = quote(gateway_id, safe="")

    async def getUrl(self, provider: str = "") -> str:
        found = await self._ai._result("GET", f"{self._at}/url/{quote(provider, safe='')}", None)
        return str(found.get("url") if isinstance(found, dict) else found)

    async def getLog(self, log_id: str) -> Any:
        return await self._ai._result("GET", f"{self._at}/logs/{quote(log_id, safe='')}", None)

    async def run(self, data: Any, options_: Any = None) -> Response:
        target = f"/ai-gateway/universal/run/{self._id}"
        headers = [("content-type", "application/json")]
        return raw_response(await self._ai._ask("POST", target, headers, dumps(data).encode()))


def raw_response(reply: Reply) -> Response:
    """The node's answer as a Response, its body still to come."""
    return Response(
        ReadableStream(reply.body) if reply.status not in (204, 304) else None,
        status=reply.status, status_text=reply.reason, headers=reply.headers,
    )  # fmt: skip


def _error(data: bytes) -> AiError:
    try:
        found = result(json.loads(data))
    except ValueError:
        return AiError(f"InferenceUpstreamError: {data[:1000].decode(errors='replace')}")
    if isinstance(found, dict):
        first = (found.get("errors") or [{}])[0]
        code = found.get("internalCode") or first.get("code") or 0
        text = found.get("description") or found.get("message") or first.get("message") or ""
        return AiError(f"{code}: {text}" if code else str(text), int(code))
    return AiError(str(found))
