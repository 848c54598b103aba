"""The items of the responses endpoint: its input to chat messages, its tools to chat tools."""

from __future__ import annotations

from typing import Any

from skerry.api.openai.generation import response_format
from skerry.errors import InvalidInput

_TEXT = ("input_text", "output_text", "text")


def messages(instructions: str | None, items: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages. Raises InvalidInput naming the item that cannot be taken."""
    out: list[dict[str, Any]] = []
    if instructions:
        out.append({"role": "system", "content": instructions})
    if isinstance(items, str):
        return [*out, {"role": "user", "content": items}]
    for at, item in enumerate(items):
        kind = item.get("type") or "message"
        if kind == "message":
            out.append({"role": item.get("role"), "content": _content(item.get("content"), at)})
        elif kind == "function_call":
            out.append(
                {"role": "assistant", "content": None, "tool_calls": [_earlier_call(item, at)]}
            )
        elif kind == "function_call_output":
            output = item.get("output")
            if not isinstance(output, str):
                output = _content(output, at)
            call = item.get("call_id")
            out.append({"role": "tool", "tool_call_id": call, "content": output})
        elif kind != "reasoning":  # a model's own notes; nothing here makes use of them
            raise InvalidInput(
                f"input[{at}].type: {str(kind)[:40]!r} is not taken; send message, function_call"
                " or function_call_output"
            )
    return out


def _content(content: Any, at: int) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(f"input[{at}].content: send a text or a list of parts")
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") not in _TEXT:
            raise InvalidInput(
                f"input[{at}].content: only parts of text are taken,"
                ' {"type": "input_text", "text": "…"}'
            )
        text = part.get("text")
        if not isinstance(text, str):
            raise InvalidInput(f"input[{at}].content: a part has no text")
        texts.append(text)
    return "\n".join(texts)


def _earlier_call(item: dict[str, Any], at: int) -> dict[str, Any]:
    name, arguments = item.get("name"), item.get("arguments", "{}")
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise InvalidInput(f"input[{at}]: a function_call needs `name` and `arguments` as texts")
    return {
        "id": str(item.get("call_id") or f"call_{at}"),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def tools(given: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Chat tools of flat function tools. Raises InvalidInput for any other kind."""
    out = []
    for at, tool in enumerate(given or []):
        if tool.get("type") != "function":
            raise InvalidInput(
                f"tools[{at}].type: {str(tool.get('type'))[:40]!r} is not served; send functions"
            )
        function = {
            key: tool[key]
            for key in ("name", "description", "parameters")
            if tool.get(key) is not None
        }
        out.append({"type": "function", "function": function})
    return out or None


def tool_choice(choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    """The chat form of a choice. Raises InvalidInput."""
    if choice is None or isinstance(choice, str):
        return choice
    if choice.get("type") != "function":
        raise InvalidInput("tool_choice.type: only functions can be chosen")
    return {"type": "function", "function": {"name": choice.get("name")}}


def text_format(text: dict[str, Any] | None) -> dict[str, Any] | None:
    """text.format as response_format. Raises InvalidInput."""
    form = (text or {}).get("format")
    if form is None:
        return None
    if not isinstance(form, dict):
        raise InvalidInput("text.format: not an object")
    if form.get("type") == "json_schema":
        return response_format(
            {"type": "json_schema", "json_schema": {"schema": form.get("schema")}}
        )
    return response_format(form)
