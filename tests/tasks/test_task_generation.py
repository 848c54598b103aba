"""text-generation: what the engine is asked, and the answer; summarization and translation too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ContextTooLong, InvalidInput
from skerry.tasks.base import CallProcessor, Generate, Generated, Translate, Translated
from skerry.tasks.instruct import clip
from skerry.tasks.registry import load_tasks
from skerry.tasks.validate import InputCheck
from skerry.types import ModelFiles

TASKS = load_tasks()
CHECK = InputCheck(TASKS["text-generation"], {}, {}, {})
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "Says it.", "parameters": SCHEMA}


def opened(task: str, context: int | None = None, **options: Any) -> CallProcessor:
    out = TASKS[task].open(ModelFiles("@test/model", task, Path("/nowhere"), options, context))
    assert isinstance(out, CallProcessor)
    return out


def asked(inputs: dict[str, Any], context: int | None = None) -> Generate:
    call = opened("text-generation", context).prepare(CHECK.check(inputs))
    assert isinstance(call, Generate)
    return call


def answer(inputs: dict[str, Any], text: str, **parts: Any) -> dict[str, Any]:
    made = Generated(
        text=text,
        finish_reason=parts.pop("finish_reason", "stop"),
        prompt_tokens=7,
        completion_tokens=3,
        **parts,
    )
    value, usage = opened("text-generation").finish(inputs, made)
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 3)
    assert isinstance(value, dict)
    return value


def test_a_prompt_is_one_user_message() -> None:
    call = asked({"prompt": "Hi"})
    assert call.messages == [{"role": "user", "content": "Hi"}]
    assert call.prompt is None
    assert call.max_tokens == 256


def test_a_raw_prompt_goes_as_it_is() -> None:
    call = asked({"prompt": "<s>Hi", "raw": True})
    assert (call.prompt, call.messages) == ("<s>Hi", None)


def test_raw_does_not_go_with_messages() -> None:
    with pytest.raises(InvalidInput, match="raw goes with prompt"):
        asked({"messages": [{"role": "user", "content": "Hi"}], "raw": True})


def test_every_setting_is_passed_on() -> None:
    settings = {
        "max_tokens": 5,
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 7,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "frequency_penalty": -1,
        "presence_penalty": 1,
    }
    call = asked({"prompt": "Hi", "stop": "\n", "seed": 42, **settings})
    assert {name: getattr(call, name) for name in settings} == settings
    assert (call.stop, call.seed) == (["\n"], 42)
    assert asked({"prompt": "Hi", "stop": ["a", "b"]}).stop == ["a", "b"]
    assert asked({"prompt": "Hi"}).temperature is None


def test_whole_numbers_with_a_point_are_whole() -> None:
    call = asked({"prompt": "Hi", "max_tokens": 5.0, "top_k": 2.0, "seed": 3.0})
    values = (call.max_tokens, call.top_k, call.seed)
    assert values == (5, 2, 3)
    assert {type(value) for value in values} == {int}


@given(st.integers(0, 9999999999))
def test_every_seed_fits_31_bits(seed: int) -> None:
    got = asked({"prompt": "Hi", "seed": seed}).seed
    assert got is not None
    assert 0 <= got < 2**31
    assert got == seed or seed >= 2**31 - 1


def test_parts_roles_and_earlier_calls_become_plain_messages() -> None:
    call = asked(
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                    "refusal": None,
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"name": "weather", "arguments": {"city": "Riga"}}],
                },
                {"role": "tool", "tool_call_id": "call_0", "name": "weather", "content": "rain"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "x",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                        }
                    ],
                },
            ]
        }
    )

    def earlier(number: str, city: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": f'{{"city":"{city}"}}'}
        return {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": number, "type": "function", "function": function}],
        }

    assert call.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\nb"},
        earlier("call_0", "Riga"),
        {"role": "tool", "content": "rain", "name": "weather", "tool_call_id": "call_0"},
        earlier("x", "Oslo"),
    ]


def test_an_image_in_a_message_is_refused_by_name() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:"}}
    with pytest.raises(InvalidInput, match=r"'/messages/0/content/0' is 'image_url'"):
        asked({"messages": [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        ({"response_format": {"type": "json_object"}}, {}),
        ({"response_format": {"type": "text"}}, None),
        ({}, None),
        ({"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, SCHEMA),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "place", "strict": True, "schema": SCHEMA},
                }
            },
            SCHEMA,
        ),
        ({"guided_json": SCHEMA}, SCHEMA),
    ],
)
def test_json_is_asked_for(wanted: dict[str, Any], schema: dict[str, Any] | None) -> None:
    assert asked({"prompt": "Hi", **wanted}).json_schema == schema


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (None, "'json_schema'"),
        ("object", "not a JSON Schema object"),
        ({"type": "objct"}, "not a valid JSON Schema"),
        ({"name": "x", "schema": {"type": "objct"}}, "not a valid JSON Schema"),
        ({"$ref": "http://example.com/schema.json"}, "JSON Schema"),
        ({"$ref": "#/nowhere"}, "response_format.json_schema"),
        ({"pattern": "("}, "not a valid JSON Schema"),
        ({"enum": ["x" * 200_000]}, "at most 131072"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked({"prompt": "Hi", "response_format": {"type": "json_schema", "json_schema": schema}})
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_tools_in_both_forms() -> None:
    call = asked(
        {
            "prompt": "Hi",
            "tools": [WEATHER, {"type": "function", "function": {"name": "now"}}],
            "tool_choice": {"type": "function", "function": {"name": "now"}},
        }
    )
    assert call.tools == [
        {"type": "function", "function": WEATHER},
        {
            "type": "function",
            "function": {
                "name": "now",
                "description": "",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ]
    assert call.tool_choice == {"type": "function", "function": {"name": "now"}}
    assert asked({"prompt": "Hi", "tools": [WEATHER], "tool_choice": "none"}).tools == []


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"tools": [{"description": "x"}]}, "'/tools/0' are 'name'"),
        ({"tools": [{"name": ""}]}, "'/tools/0' are 'name'"),
        ({"tools": [{"type": "function", "function": {}}]}, "'/tools/0/function' are 'name'"),
        ({"tools": [{"type": "web_search", "name": "x"}]}, "enum web_search not in function"),
        ({"tools": [WEATHER, WEATHER]}, "two tools are called 'weather'"),
        ({"tools": [{"name": "x", "parameters": {"type": "objct"}}]}, "the tool 'x'"),
        ({"tools": [WEATHER], "tool_choice": {"function": {"name": "now"}}}, "'now'"),
        ({"tool_choice": "required"}, "no tools"),
    ],
)
def test_tools_that_cannot_be_used(inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        asked({"prompt": "Hi", **inputs})
    assert says in caught.value.message


def test_a_prompt_that_cannot_fit_is_refused_before_it_is_tokenised() -> None:
    asked({"prompt": "word " * 1000}, context=2048)
    with pytest.raises(ContextTooLong, match="2048 tokens") as caught:
        asked({"prompt": "a" * 100_000}, context=2048)
    assert caught.value.code == 3006


def test_the_answer() -> None:
    assert answer({"prompt": "Hi"}, "Hello") == {
        "response": "Hello",
        "tool_calls": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        "finish_reason": "stop",
    }
    calls = [{"name": "weather", "arguments": {"city": "Riga"}}]
    called = answer({}, "", tool_calls=calls, finish_reason="tool_calls")
    assert called["tool_calls"] == calls


def test_an_answer_by_schema_is_the_object_itself() -> None:
    by_schema = {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}
    assert answer(by_schema, '{"city": "Riga"}')["response"] == {"city": "Riga"}
    assert answer({"guided_json": SCHEMA}, '{"city": "Riga"}')["response"] == {"city": "Riga"}
    cut = answer(by_schema, '{"city": "Ri', finish_reason="length")
    assert (cut["response"], cut["finish_reason"]) == ('{"city": "Ri', "length")
    as_object = {"response_format": {"type": "json_object"}}
    assert answer(as_object, '{"a": 1}')["response"] == '{"a": 1}'


def test_a_streamed_piece() -> None:
    assert opened("text-generation").piece({}, "tok") == {"response": "tok"}


# ---- summarization


def test_a_chat_model_is_told_to_summarize() -> None:
    model = opened("summarization", context=1000)
    text = "A long text. " * 1000
    call = model.prepare({"input_text": text, "max_length": 100})
    assert isinstance(call, Generate)
    assert call.messages is not None
    told, given_text = (message["content"] for message in call.messages)
    assert "ummarize" in told
    assert text.startswith(given_text)
    assert 1000 < len(given_text) < (1000 - 100) * 3
    assert call.max_tokens == 100
    made = Generated(text=" Short. ", finish_reason="stop", prompt_tokens=9, completion_tokens=2)
    value, usage = model.finish({}, made)
    assert value == {"summary": "Short."}
    assert usage.total_tokens == 11


def test_the_summary_leaves_room_for_the_text() -> None:
    call = opened("summarization", context=1024).prepare({"input_text": "a", "max_length": 1024})
    assert isinstance(call, Generate)
    assert call.max_tokens == 512


@given(st.text(max_size=3000), st.integers(64, 2000), st.integers(1, 2000))
def test_a_clipped_text_is_a_start_of_it_and_fits(text: str, context: int, most: int) -> None:
    cut = clip(text, context, most, "Do it.")
    assert text.startswith(cut)
    assert len(cut) <= max(256, (context - most) * 3)
    assert clip(text, None, most, "Do it.") == text


# ---- translation


def test_a_translation_model_gets_codes() -> None:
    model = opened("translation")
    call = model.prepare({"text": "Hi", "source_lang": "English", "target_lang": "pt_BR"})
    assert isinstance(call, Translate)
    assert (call.text, call.source, call.target) == ("Hi", "en", "pt")
    value, usage = model.finish({}, Translated(text="Oi", prompt_tokens=2, completion_tokens=1))
    assert value == {"translated_text": "Oi"}
    assert usage.prompt_tokens == 2


def test_a_chat_model_is_told_to_translate() -> None:
    call = opened("translation", chat=True).prepare({"text": "Hi", "target_lang": "fr"})
    assert isinstance(call, Generate)
    assert call.messages is not None
    assert "from English to French" in call.messages[0]["content"]
    assert call.messages[1]["content"] == "Hi"


def test_a_text_that_no_translation_model_could_read() -> None:
    with pytest.raises(ContextTooLong, match="128 tokens"):
        opened("translation", context=128).prepare({"text": "a" * 10_000, "target_lang": "fr"})


def test_a_language_that_the_model_does_not_know() -> None:
    check = InputCheck(TASKS["translation"], {}, {}, {"languages": ["en", "fr"]})
    check.check({"text": "Hi", "target_lang": "french"})
    with pytest.raises(InvalidInput, match=r"enum tlh not in en,fr at '/target_lang'"):
        check.check({"text": "Hi", "target_lang": "tlh"})
