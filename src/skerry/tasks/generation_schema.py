"""The JSON Schemas of text-generation, apart because they are long."""

from __future__ import annotations

from typing import Any

from skerry.tasks.chat import ROLES


def _number(text: str, low: float, high: float) -> dict[str, Any]:
    return {"type": "number", "minimum": low, "maximum": high, "description": text}


def _message() -> dict[str, Any]:
    part = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "description": 'The kind of part: "text".'},
            "text": {"type": "string", "description": "The text."},
        },
    }
    return {
        "type": "object",
        "properties": {
            "role": {
                "type": "string",
                "enum": list(ROLES),
                "description": "Who says it.",
            },
            "content": {
                "description": "What is said; null only beside tool_calls.",
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": part},
                    {"type": "null"},
                ],
            },
            "name": {"type": "string", "description": "The name of the tool that answers."},
            "tool_call_id": {"type": "string", "description": "The call that is answered."},
            "tool_calls": {
                "type": "array",
                "items": {"type": "object"},
                "description": "Calls that the assistant made, in Cloudflare's or OpenAI's form.",
            },
        },
        "required": ["role"],
    }


def _tool() -> dict[str, Any]:
    parameters = {"type": "object", "description": "JSON Schema of the arguments."}
    name = {"type": "string", "description": "The name of the tool."}
    description = {"type": "string", "description": "What it does."}
    return {
        "type": "object",
        "description": "Flat {name, description, parameters}, or OpenAI's {type, function}.",
        "properties": {
            "type": {"type": "string", "description": '"function".'},
            "function": {
                "type": "object",
                "properties": {"name": name, "description": description, "parameters": parameters},
            },
            "name": name,
            "description": description,
            "parameters": parameters,
        },
    }


def generation_input() -> dict[str, Any]:
    """A new input schema."""
    return {
        "type": "object",
        "properties": {
            "prompt": {
                "type": "string",
                "minLength": 1,
                "description": "The text to answer, as one user message (see raw).",
            },
            "messages": {
                "type": "array",
                "minItems": 1,
                "maxItems": 10_000,
                "items": _message(),
                "description": "The conversation so far.",
            },
            "raw": {
                "type": "boolean",
                "default": False,
                "description": "Give prompt to the model as it is, without its chat template.",
            },
            "stream": {
                "type": "boolean",
                "default": False,
                "description": "Answer piece by piece, as server-sent events.",
            },
            "max_tokens": {
                "type": "integer",
                "minimum": 1,
                "default": 256,
                "description": "The most tokens of the answer.",
            },
            "temperature": _number(
                "Randomness: 0 always takes the likeliest token. Default: the model's.", 0, 5
            ),
            "top_p": _number("Take tokens only from the likeliest that add up to this.", 0, 1),
            "top_k": {
                "type": "integer",
                "minimum": 1,
                "maximum": 50,
                "description": "Take tokens only from this many of the likeliest.",
            },
            "min_p": _number("Take no token less likely than this part of the likeliest.", 0, 1),
            "seed": {
                "type": "integer",
                "minimum": 0,
                "maximum": 9999999999,
                "description": "The same seed and input give the same answer.",
            },
            "stop": {
                "description": "Text, or up to 16 texts, at which the answer ends; not part of it.",
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "maxItems": 16,
                    },
                ],
            },
            "repetition_penalty": _number("Above 1: repeat less.", 0, 2),
            "frequency_penalty": _number(
                "Above 0: repeat a token less the more often it came.", -2, 2
            ),
            "presence_penalty": _number("Above 0: turn to new topics.", -2, 2),
            "response_format": {
                "type": "object",
                "description": "Make the answer JSON.",
                "properties": {
                    "type": {"type": "string", "enum": ["text", "json_object", "json_schema"]},
                    "json_schema": {
                        "description": "The JSON Schema that the answer will match, as it is"
                        " or in OpenAI's {name, schema}."
                    },
                },
                "required": ["type"],
            },
            "guided_json": {
                "type": "object",
                "description": "The JSON Schema that the answer will match.",
            },
            "tools": {
                "type": "array",
                "maxItems": 128,
                "items": _tool(),
                "description": "Functions that the model may ask to be called.",
            },
            "tool_choice": {
                "description": 'May it call a tool: "auto", "none", "required", or which one.',
                "anyOf": [
                    {"type": "string", "enum": ["auto", "none", "required"]},
                    {"type": "object"},
                ],
            },
            "lora": {"type": "string", "description": "The LoRA to apply."},
        },
        "oneOf": [
            {"title": "Prompt", "required": ["prompt"]},
            {"title": "Messages", "required": ["messages"]},
        ],
        "additionalProperties": False,
    }


def generation_output() -> dict[str, Any]:
    """A new output schema."""
    count = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": {
            "response": {
                "description": "The text; the object itself where a JSON Schema was asked for."
            },
            "tool_calls": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                    "required": ["name", "arguments"],
                },
            },
            "usage": {
                "type": "object",
                "properties": {
                    "prompt_tokens": count,
                    "completion_tokens": count,
                    "total_tokens": count,
                },
            },
            "finish_reason": {"type": "string", "enum": ["stop", "length", "tool_calls"]},
        },
        "required": ["response"],
    }
