"""Chat models on prompts whose answers a program can judge, on JSON by schema, and on tools."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs

import skerry

PROMPTS: list[tuple[str, Callable[[str], bool]]] = [
    ("What is the capital of Japan?", lambda text: "tokyo" in text.lower()),
    ("What is 7 plus 5?", lambda text: bool(re.search(r"\b(12|twelve)\b", text.lower()))),
    ("Name three colours.", lambda text: len(_colours(text)) >= 3),
    ("Which animal barks: a cat or a dog?", lambda text: "dog" in text.lower()),
    ("Translate 'good morning' to Spanish.", lambda text: "buenos d" in text.lower()),
    ("What is the chemical formula of water?", lambda text: bool(re.search("H2O|H₂O", text))),
    ("How many days are there in a week?", lambda text: bool(re.search("7|seven", text.lower()))),
    ("Write a Python function that adds two numbers.", lambda text: "def " in text),
    ("Who wrote Romeo and Juliet?", lambda text: "shakespeare" in text.lower()),
    ("What is the opposite of hot?", lambda text: "cold" in text.lower()),
]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "bedrooms": {"type": "integer", "minimum": 0, "maximum": 20},
        "balcony": {"type": "boolean"},
        "city": {"type": "string", "maxLength": 40},
    },
    "required": ["bedrooms", "balcony", "city"],
    "additionalProperties": False,
}
LISTINGS = [
    "A bright flat in Lisbon with two bedrooms and a balcony.",
    "Four-bedroom house in Oslo, no balcony, large garden.",
    "Studio in Rome with one bedroom; there is a small balcony.",
]
TOOLS = [
    {
        "name": "get_weather",
        "description": "Get the current weather for a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
    {
        "name": "create_invoice",
        "description": "Create an invoice for a customer",
        "parameters": {
            "type": "object",
            "properties": {"customer": {"type": "string"}, "amount_eur": {"type": "number"}},
            "required": ["customer", "amount_eur"],
        },
    },
]
ASKED = [
    ("What is the weather in Paris right now?", "get_weather"),
    ("Bill ACME Corp 250 euros.", "create_invoice"),
    ("Is it raining in Oslo?", "get_weather"),
    ("Please invoice Jane Doe for 99.50 EUR", "create_invoice"),
]
MODELS = {"@skerry/smollm2-135m-instruct": 4, "@skerry/qwen2.5-coder-0.5b-instruct": 9}
"""Model -> prompts of the ten that it must answer well."""
Found = tuple[str, float, str, bool, Any]


async def chat(ai: skerry.AI) -> list[Found]:
    """(what, figure, bound or "", whether it holds, raw) for each model."""
    out: list[Found] = []
    for model, least in MODELS.items():
        label = model.rpartition("/")[2]
        answers = []
        for prompt, good in PROMPTS:
            told = await _ask(ai, model, prompt, max_tokens=80)
            answers.append({"prompt": prompt, "answer": told, "good": good(told)})
        right = sum(bool(one["good"]) for one in answers)
        out.append(
            (f"{label}: sensible, of 10 prompts", right, f">= {least}", right >= least, answers)
        )
        valid, texts = await _json(ai, model)
        count = len(LISTINGS)
        what = f"{label}: JSON valid by its schema, of {count}"
        out.append((what, valid, str(count), valid == count, texts))
        called, calls = await _tools(ai, model)
        what = f"{label}: the right tool, of {len(ASKED)}"
        # The small model cannot choose tools; its figure is shown without a bound.
        bound = len(ASKED) - 1
        out.append((what, called, f">= {bound}" if least > 5 else "", called >= bound, calls))
    return out


async def _ask(ai: skerry.AI, model: str, prompt: str, **more: Any) -> str:
    messages = [{"role": "user", "content": prompt}]
    found = await ai.run(model, {"messages": messages, "temperature": 0, **more})
    return str(found["response"])


async def _json(ai: skerry.AI, model: str) -> tuple[int, list[Any]]:
    validator = jsonschema_rs.validator_for(SCHEMA)
    valid, texts = 0, []
    for listing in LISTINGS:
        found = await ai.run(
            model,
            {
                "messages": [{"role": "user", "content": f"Describe as JSON: {listing}"}],
                "response_format": {"type": "json_schema", "json_schema": SCHEMA},
                "max_tokens": 120,
                "temperature": 0,
            },
        )
        answer = found["response"]
        texts.append(answer)
        try:
            value = json.loads(answer) if isinstance(answer, str) else answer
        except ValueError:
            continue
        valid += validator.is_valid(value)
    return valid, texts


async def _tools(ai: skerry.AI, model: str) -> tuple[int, list[Any]]:
    right, calls = 0, []
    for question, wanted in ASKED:
        found = await ai.run(
            model,
            {
                "messages": [{"role": "user", "content": question}],
                "tools": TOOLS,
                "max_tokens": 80,
                "temperature": 0,
            },
        )
        called = found.get("tool_calls") or []
        calls.append({"question": question, "calls": called, "response": found.get("response")})
        right += bool(called) and called[0].get("name") == wanted
    return right, calls


def _colours(text: str) -> set[str]:
    known = {"red", "green", "blue", "yellow", "orange", "purple", "black", "white", "pink"}
    return known & set(re.findall("[a-z]+", text.lower()))
