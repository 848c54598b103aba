"""Tools by grammar: any instruct model calls functions, whatever its chat template knows.

The tools are told in a system message; the answer is held to one JSON form by a grammar. With
`tool_choice` "auto" the grammar also lets the model answer in plain text: what does not begin
with "{" is text. llama.cpp's own parsers look for each model family's own marks, and miss models
that write bare JSON (measured: docs/engines.md).
"""

from __future__ import annotations

from typing import Any

import msgspec

from skerry.errors import InvalidInput
from skerry.tasks.base import Generate, Generated

_ASK = (
    "You can call functions. To call one, reply only with JSON:"
    ' {{"name": <function name>, "arguments": {{<argument name>: <value>}}}}\n'
    "Functions:\n{functions}\n"
)
_AUTO = (
    "Call a function only if it answers what the user asks for."
    " Otherwise reply to the user in plain words."
)
_FORCED = "Reply with the call of the one function that answers the user."


class Tools:
    """The tools of one call."""

    def __init__(self, functions: list[dict[str, Any]], forced: bool) -> None:
        self._functions = functions
        self._forced = forced

    @classmethod
    def of(cls, call: Generate) -> Tools | None:
        """None where the call has no tools, or its tool_choice is "none". Raises InvalidInput."""
        choice = call.tool_choice
        if not call.tools or choice == "none":
            return None
        functions = [tool.get("function", tool) for tool in call.tools]
        if isinstance(choice, dict):
            wanted = choice.get("function", choice).get("name")
            functions = [each for each in functions if each.get("name") == wanted]
            if not functions:
                raise InvalidInput(f"tool_choice names {wanted!r}, which is not among the tools.")
        return cls(functions, forced=choice not in (None, "auto"))

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a call."""
        return {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "name": {"const": function["name"]},
                        "arguments": {"type": "object", **(function.get("parameters") or {})},
                    },
                    "required": ["name", "arguments"],
                    "additionalProperties": False,
                }
                for function in self._functions
            ]
        }

    def grammar(self) -> str:
        """In the notation of llguidance, which xllamacpp is built with."""
        call = _json(self.schema())
        if self._forced:
            return f"%llguidance {{}}\nstart: call\ncall: {call}\n"
        return f"%llguidance {{}}\nstart: call | text\ntext: /[^{{`<\\s](.|\\n)*/\ncall: {call}\n"

    def instruct(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages with the tools told in the system message."""
        told = _ASK.format(
            functions="\n".join(msgspec.json.encode(each).decode() for each in self._functions)
        ) + (_FORCED if self._forced else _AUTO)
        if messages and messages[0].get("role") == "system":
            system = f"{messages[0].get('content') or ''}\n\n{told}"
            return [{"role": "system", "content": system}, *messages[1:]]
        return [{"role": "system", "content": told}, *messages]

    def shown(self, text: str, parts: list[str]) -> str:
        """What of a piece is for the reader: nothing of a call."""
        return "" if self._forced or parts[0].startswith("{") else text

    def read(self, done: Generated) -> Generated:
        """Turn the text of a call into `tool_calls`; text that is no whole call stays text."""
        if not done.text.startswith("{"):
            return done
        try:
            call = msgspec.json.decode(done.text, type=dict[str, Any])
        except msgspec.DecodeError:  # cut off by max_tokens: finish_reason says "length"
            return done
        return Generated(
            text="",
            finish_reason="tool_calls",
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            tool_calls=[{"name": call["name"], "arguments": call["arguments"]}],
        )


def json_grammar(schema: dict[str, Any]) -> str:
    """A grammar (llguidance) for the JSON that a schema describes; {} is any object."""
    return f"%llguidance {{}}\nstart: {_json(schema or {'type': 'object'})}\n"


def _json(schema: dict[str, Any]) -> str:
    """The rule for a schema. Its own `x-guidance`, if it has one, does not count.

    Without free white space: small models otherwise write newlines until their tokens are spent.
    Lenient: a keyword that a grammar cannot hold (uniqueItems) is passed over, where otherwise
    the whole grammar would be refused and the answer be free text. The node holds the answer
    against the whole schema afterwards.
    """
    style = {
        "whitespace_flexible": False,
        "item_separator": ", ",
        "key_separator": ": ",
        "lenient": True,
    }
    return f"%json {msgspec.json.encode({**schema, 'x-guidance': style}).decode()}"


def plain_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages that any chat template takes: roles system, user, assistant and text content.

    A call that the assistant made becomes its JSON; a tool's result becomes a user message.
    """
    out: list[dict[str, Any]] = []
    for message in messages:
        role, content = str(message.get("role", "user")), text_of(message.get("content"))
        if role == "assistant" and message.get("tool_calls"):
            calls = [_call_json(call) for call in message["tool_calls"]]
            content = "\n".join([content, *calls] if content else calls)
        elif role in {"tool", "function"}:
            name = message.get("name") or message.get("tool_call_id") or "the function"
            role, content = "user", f"Result of {name}:\n{content}"
        elif role == "developer":
            role = "system"
        out.append({"role": role, "content": content})
    return out


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of {"type": "text"} parts."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content
        )
    return "" if content is None else str(content)


def _call_json(call: dict[str, Any]) -> str:
    function = call.get("function", call)
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            arguments = {"arguments": arguments}
    return msgspec.json.encode({"name": function.get("name"), "arguments": arguments}).decode()
