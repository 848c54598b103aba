"""Chat messages: what a caller may send, and the plain form that chat templates take."""

from __future__ import annotations

from typing import Any

import msgspec

from skerry.errors import InvalidInput

ROLES = ("system", "developer", "user", "assistant", "tool")


def check_messages(messages: list[dict[str, Any]]) -> None:
    """What the schema cannot say. Raises InvalidInput naming the message."""
    for at, message in enumerate(messages):
        where = f"'/messages/{at}"
        content = message.get("content")
        if content is None and not message.get("tool_calls"):
            raise InvalidInput(
                f"Bad input: Error: required properties at {where}' are 'content'. Add it"
            )
        if isinstance(content, list):
            for index, part in enumerate(content):
                if part.get("type", "text") != "text" or not isinstance(part.get("text"), str):
                    raise InvalidInput(
                        f"Bad input: Error: {where}/content/{index}' is"
                        f" {str(part.get('type'))[:40]!r}; this model takes text only."
                        ' Send {"type": "text", "text": "…"}'
                    )


def plain_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with text parts joined and nothing that a chat template does not know."""
    return [_plain(message) for message in messages]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content)
    role = message["role"]
    out: dict[str, Any] = {"role": "system" if role == "developer" else role, "content": content}
    if content is None:
        out["content"] = ""
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            out[name] = message[name]
    calls = message.get("tool_calls")
    if calls:
        out["tool_calls"] = [_call(call, at) for at, call in enumerate(calls)]
    return out


def _call(call: dict[str, Any], at: int) -> dict[str, Any]:
    """An earlier tool call in OpenAI's form, from that or from Cloudflare's {name, arguments}."""
    function = call.get("function", call)
    arguments = function.get("arguments", {})
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments).decode()
    return {
        "id": str(call.get("id") or f"call_{at}"),
        "type": "function",
        "function": {"name": function.get("name", ""), "arguments": arguments},
    }
