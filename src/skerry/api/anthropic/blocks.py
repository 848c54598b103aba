"""Content blocks: messages, tools and choices as the Messages API has them, to the task's own."""

from __future__ import annotations

from typing import Any

import msgspec

from skerry.errors import InvalidInput

_UNSAID = ("thinking", "redacted_thinking")
"""Blocks of an earlier answer that no model here makes use of."""

Blocks = str | list[dict[str, Any]]


def messages(system: Blocks | None, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages of the system prompt and the conversation.

    A tool_result is a message of its own in a chat. Raises InvalidInput naming what cannot be
    taken.
    """
    out: list[dict[str, Any]] = []
    if system:
        out.append({"role": "system", "content": _text(system, "system")})
    for at, message in enumerate(given):
        where = f"messages[{at}]"
        role, content = message.get("role"), message.get("content")
        if role == "assistant":
            out += _assistant(content, where)
        elif role == "user":
            out += _user(content, where)
        elif role == "system":
            out.append({"role": "system", "content": _text(content, where)})
        else:
            raise InvalidInput(f"{where}.role: {str(role)[:40]!r} is not user or assistant")
    if given and given[-1].get("role") == "assistant":
        raise InvalidInput(
            f"messages[{len(given) - 1}]: no model here goes on with an answer that was begun;"
            " end with a user message"
        )
    return out


def _assistant(content: Any, where: str) -> list[dict[str, Any]]:
    texts, calls = [], []
    for at, block in enumerate(_blocks(content, where)):
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(_call(block, f"{where}.content[{at}]"))
        elif kind not in _UNSAID:
            texts.append(_plain(block, f"{where}.content[{at}]"))
    if not texts and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts)}
    return [message | ({"tool_calls": calls} if calls else {})]


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    name, arguments = block.get("name"), block.get("input", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise InvalidInput(f"{where}: a tool_use needs `name`, a text, and `input`, an object")
    return {
        "id": str(block.get("id") or ""),
        "type": "function",
        "function": {"name": name, "arguments": msgspec.json.encode(arguments).decode()},
    }


def _user(content: Any, where: str) -> list[dict[str, Any]]:
    """The results of tools first, as a chat has them right after the calls; then what is said."""
    results: list[dict[str, Any]] = []
    texts = []
    for at, block in enumerate(_blocks(content, where)):
        place = f"{where}.content[{at}]"
        if block.get("type") == "tool_result":
            found = block.get("content") or ""
            text = _text(found, place)
            results.append(
                {
                    "role": "tool",
                    "tool_call_id": str(block.get("tool_use_id") or ""),
                    "content": f"Error: {text}" if block.get("is_error") else text,
                }
            )
        else:
            texts.append(_plain(block, place))
    if texts or not results:
        results.append({"role": "user", "content": "\n".join(texts)})
    return results


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise InvalidInput(f"{where}.content: send a text or a list of blocks")
    return content


def _text(content: Any, where: str) -> str:
    """The text of blocks that may be text only."""
    blocks = _blocks(content, where)
    return "\n".join(_plain(block, f"{where}.content[{at}]") for at, block in enumerate(blocks))


def _plain(block: dict[str, Any], where: str) -> str:
    if block.get("type") != "text" or not isinstance(block.get("text"), str):
        raise InvalidInput(
            f"{where}: {str(block.get('type'))[:40]!r} is not taken; this model takes text only."
            ' Send {"type": "text", "text": "…"}'
        )
    return str(block["text"])


def tools(given: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Chat tools. Raises InvalidInput for those that Anthropic's servers would run."""
    out = []
    for at, tool in enumerate(given or []):
        if tool.get("type") not in (None, "custom"):
            raise InvalidInput(
                f"tools[{at}].type: {str(tool.get('type'))[:40]!r} is run by no server here;"
                " send tools of your own, with name and input_schema"
            )
        function = {
            "name": tool.get("name"),
            "description": tool.get("description"),
            "parameters": tool.get("input_schema"),
        }
        kept = {key: value for key, value in function.items() if value is not None}
        out.append({"type": "function", "function": kept})
    return out or None


def tool_choice(choice: dict[str, Any] | None) -> str | dict[str, Any] | None:
    """The chat form of a choice. Raises InvalidInput."""
    if choice is None:
        return None
    kind = choice.get("type")
    plain = {"auto": "auto", "any": "required", "none": "none"}.get(str(kind))
    if plain is not None:
        return plain
    if kind == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    raise InvalidInput("tool_choice.type: choose auto, any, tool or none")


def response_format(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """output_config.format as the task's response_format. Raises InvalidInput."""
    form = (config or {}).get("format")
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise InvalidInput("output_config.format.type: choose json_schema")
    if not isinstance(form.get("schema"), dict):
        raise InvalidInput("output_config.format.schema: give the schema as an object")
    return {"type": "json_schema", "json_schema": form["schema"]}
