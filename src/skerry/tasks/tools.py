"""Tools that a model may call: Cloudflare's flat form and OpenAI's, to OpenAI's."""

from __future__ import annotations

from typing import Any

from skerry.errors import InvalidInput
from skerry.tasks.wanted_json import check_schema
from skerry.types import Inputs


def check_tools(inputs: Inputs) -> None:
    """Raises InvalidInput naming the tool that has no name or whose parameters are no schema."""
    names = []
    for at, tool in enumerate(inputs.get("tools") or []):
        function = tool.get("function", tool)
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not name:
            where = f"/tools/{at}/function" if "function" in tool else f"/tools/{at}"
            raise InvalidInput(
                f"Bad input: Error: required properties at '{where}' are 'name'."
                " Give every tool a name"
            )
        if tool.get("type", "function") != "function":
            raise InvalidInput(
                f"Bad input: Error: enum {str(tool['type'])[:40]} not in function at"
                f" '/tools/{at}/type'. Only function tools can be run"
            )
        if name in names:
            raise InvalidInput(f"Bad input: Error: two tools are called {name[:60]!r}. Rename one")
        names.append(name)
        if function.get("parameters") is not None:
            check_schema(function["parameters"], f"the parameters of the tool {name[:60]!r}")
    choice = inputs.get("tool_choice")
    wanted = _chosen(choice)
    if wanted is not None and wanted not in names:
        raise InvalidInput(
            f"Bad input: Error: tool_choice names {wanted[:60]!r}, which is not among the tools"
        )
    if choice == "required" and not names:
        raise InvalidInput("Bad input: Error: tool_choice is 'required' but there are no tools")


def _chosen(choice: Any) -> str | None:
    if not isinstance(choice, dict):
        return None
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    return str(name or "")


def function_tools(inputs: Inputs) -> list[dict[str, Any]]:
    """[{"type": "function", "function": {"name", "description", "parameters"}}]"""
    if inputs.get("tool_choice") == "none":
        return []
    out = []
    for tool in inputs.get("tools") or []:
        function = tool.get("function", tool)
        out.append(
            {
                "type": "function",
                "function": {
                    "name": function["name"],
                    "description": function.get("description") or "",
                    "parameters": function.get("parameters")
                    or {"type": "object", "properties": {}},
                },
            }
        )
    return out
