"""skerry.AI: the Python face. A node inside this process, or a client of a running one.

    async with skerry.AI() as ai:
        answer = await ai.run("@skerry/minilm-sst2", {"text": "A lovely flat."})

With `url` (or $SKERRY_URL) the same calls go to a running node over HTTP.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from skerry.errors import AiError, InternalError, ai_error_by_code
from skerry.settings import Settings, load
from skerry.types import Answer, InferenceRequest, new_id


class AI:
    """Answers `run(model, inputs)` as `env.AI.run` does.

    url: base URL of a running node; None: $SKERRY_URL, else a node inside this process.
    token: sent as bearer to a running node; None: $SKERRY_TOKEN.
    settings: for the node inside this process; None: skerry.toml and SKERRY_*.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        settings: Settings | None = None,
        account: str = "local",
    ) -> None:
        chosen = url if url is not None else os.environ.get("SKERRY_URL")
        if settings is not None and url is None:
            chosen = None
        self._url = chosen.rstrip("/") if chosen else None
        self._token = token if token is not None else os.environ.get("SKERRY_TOKEN")
        self._settings = settings
        self._account = account
        self._stack = AsyncExitStack()
        self._backend: _Local | _Remote | None = None

    async def __aenter__(self) -> Self:
        if self._url is not None:
            backend: _Local | _Remote = _Remote(self._url, self._token, self._account)
        else:
            backend = _Local(self._settings or load(), self._account)
        await self._stack.enter_async_context(backend)
        self._backend = backend
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._backend = None
        await self._stack.aclose()

    async def run(self, model: str, inputs: dict[str, Any], *, timeout: float | None = None) -> Any:
        """The model's answer: a dict, a list, or bytes.

        With `inputs["stream"]` true (text generation) it answers a Stream: an async iterator of
        pieces {"response": "…"}, the last of which has an empty response and the "usage".
        Embeddings come as lists of floats. timeout: seconds.
        Raises AiError.
        """
        if self._backend is None:
            raise InternalError("skerry.AI is not open: use `async with skerry.AI() as ai:`")
        return await self._backend.run(model, inputs, timeout)


class Stream:
    """A streamed answer: an async iterator of pieces.

    Leaving an `async with` around it, or calling aclose, cancels a run that still goes on.
    """

    def __init__(
        self, pieces: AsyncIterator[dict[str, Any]], on_close: Callable[[], object] | None = None
    ) -> None:
        self._pieces = pieces
        self._on_close = on_close
        self._told = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        piece = await anext(self._pieces)
        if self._told and "usage" in piece:
            # The last piece repeats the whole text, for faces that want it; it was streamed.
            return piece | {"response": ""}
        self._told = self._told or bool(piece.get("response"))
        return piece

    async def aclose(self) -> None:
        """Cancel the run, if it still goes on."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()
        if self._on_close is not None:
            self._on_close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Local:
    """A node in this process, without HTTP."""

    def __init__(self, settings: Settings, account: str) -> None:
        from skerry.node import Node

        self._node = Node(settings)
        self._account = account

    async def __aenter__(self) -> Self:
        await self._node.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._node.stop()

    async def run(self, model: str, inputs: dict[str, Any], timeout: float | None) -> Any:
        request = InferenceRequest(
            model=model,
            inputs=dict(inputs),
            id=new_id(),
            account=self._account,
            timeout=timeout,
        )
        reply = await self._node.ai.run(request)
        if isinstance(reply, Answer):
            return _plain(reply.value)
        return Stream(reply.pieces)


def _plain(value: Any) -> Any:
    """numpy arrays become lists, as on Cloudflare."""
    if isinstance(value, dict):
        return {
            key: item.tolist() if hasattr(item, "tolist") else item for key, item in value.items()
        }
    return value


class _Remote:
    """A running node, over Cloudflare's REST API."""

    def __init__(self, url: str, token: str | None, account: str) -> None:
        self._base = f"{url}/client/v4/accounts/{account}/ai/run/"
        self._token = token

    async def __aenter__(self) -> Self:
        import aiohttp

        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        self._session = aiohttp.ClientSession(headers=headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def run(self, model: str, inputs: dict[str, Any], timeout: float | None) -> Any:
        import aiohttp
        import msgspec

        body = msgspec.json.encode(inputs)
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            response = await self._session.post(
                self._base + model,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=limit,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise InternalError(f"{self._base}: {error or 'no answer in time'}") from error
        if response.content_type == "text/event-stream":
            return Stream(_pieces(response), response.close)
        async with response:
            raw = await response.read()
            if response.status >= 400:
                raise _failure(raw, response.status, response.headers.get("Retry-After"))
            if response.content_type != "application/json":
                return raw
            return msgspec.json.decode(raw)["result"]


async def _pieces(response: Any) -> AsyncIterator[dict[str, Any]]:
    import msgspec

    async with response:
        async for line in response.content:
            data = line.strip()
            if not data.startswith(b"data:"):
                continue
            payload = data[5:].strip()
            if payload == b"[DONE]":
                return
            piece = msgspec.json.decode(payload)
            if piece.get("errors"):
                raise _failure(payload, 500, None)
            yield piece
        raise InternalError("The node closed the stream before its end")


def _failure(raw: bytes, status: int, retry_after: str | None) -> AiError:
    import msgspec

    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    try:
        first = msgspec.json.decode(raw)["errors"][0]
        code, message = int(first["code"]), str(first["message"])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError):
        return InternalError(f"HTTP {status}: {raw[:200].decode(errors='replace')}")
    return ai_error_by_code(code, message.removeprefix("AiError: "), wait)
