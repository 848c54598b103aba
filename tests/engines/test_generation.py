"""One contract for every engine that generates text, on real weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import jsonschema_rs
import msgspec
import pytest

from skerry.engines.base import CallEngine, Choice
from skerry.engines.registry import load_engine
from skerry.errors import ContextTooLong, InvalidInput, LoraNotSupported
from skerry.tasks.base import Generate, Generated
from skerry.types import ModelFiles
from tests.engines.sinks import Heard

pytestmark = pytest.mark.models

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module", params=["llamacpp", "genai"])
def engine(
    request: pytest.FixtureRequest, pulled: Callable[[str], ModelFiles]
) -> Iterator[CallEngine]:
    cls = load_engine(request.param)
    if advice := cls.missing():
        pytest.skip(advice)
    files = msgspec.structs.replace(pulled("@skerry/smollm2-135m-instruct"), context=1024)
    # One thread: llama.cpp's threads spin for one another, and tests run on busy machines.
    engine = cls.load(files, Choice(engine=cls.name, precision="gguf", streams=3, threads=1))
    assert isinstance(engine, CallEngine)
    yield engine
    engine.close()


def ask(engine: CallEngine, sink: Heard | None = None, **call: object) -> Generated:
    done = engine.run(Generate(**call), sink or Heard())  # type: ignore[arg-type]
    assert isinstance(done, Generated)
    return done


def test_pieces_make_the_text_and_tokens_are_counted(engine: CallEngine) -> None:
    sink = Heard()
    done = ask(engine, sink, messages=chat("Count to five."), max_tokens=16, temperature=0)
    assert sink.text == done.text != ""
    assert len(sink.pieces) > 1
    assert 0 < done.completion_tokens <= 16
    assert done.prompt_tokens > 5
    assert done.finish_reason in {"stop", "length"}


def test_greedy_answers_are_the_same_twice(engine: CallEngine) -> None:
    first, second = (
        ask(engine, messages=chat("Name a sea."), max_tokens=12, temperature=0) for _ in range(2)
    )
    assert first.text == second.text


def test_max_tokens_ends_it(engine: CallEngine) -> None:
    done = ask(engine, prompt="Once upon a time", max_tokens=5, temperature=0)
    assert (done.finish_reason, done.completion_tokens) == ("length", 5)


def test_a_stop_string_is_not_in_the_answer(engine: CallEngine) -> None:
    sink = Heard()
    done = ask(
        engine, sink, prompt="1, 2, 3, 4, 5, 6, 7, 8,", max_tokens=40, temperature=0, stop=["12"]
    )
    assert "11" in done.text
    assert "12" not in done.text
    assert sink.text == done.text
    assert done.finish_reason == "stop"


def test_a_seed_makes_it_the_same_again(engine: CallEngine) -> None:
    call = Generate(messages=chat("Tell a story."), max_tokens=16, temperature=1.0, seed=7)
    if not engine.serves(call):
        assert engine.name == "genai"  # it says so, and the runner asks the other engine
        return
    first, second = (engine.run(call, Heard()) for _ in range(2))
    assert first == second
    other = engine.run(msgspec.structs.replace(call, seed=8), Heard())
    assert other != first


def test_json_schema_holds(engine: CallEngine) -> None:
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    done = ask(
        engine,
        messages=chat("Bob is 33 years old. Answer in JSON."),
        max_tokens=60,
        temperature=0,
        json_schema=SCHEMA,
    )
    assert jsonschema_rs.is_valid(SCHEMA, msgspec.json.decode(done.text))


def test_a_forced_tool_is_called(engine: CallEngine) -> None:
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    sink = Heard()
    done = ask(
        engine,
        sink,
        messages=chat("What is the weather in Paris?"),
        tools=[WEATHER],
        tool_choice="required",
        max_tokens=60,
        temperature=0,
    )
    assert done.finish_reason == "tool_calls"
    assert done.tool_calls[0]["name"] == "get_weather"
    assert "Paris" in done.tool_calls[0]["arguments"]["city"]
    assert sink.text == ""


def test_a_tools_result_is_understood(engine: CallEngine) -> None:
    call = {"id": "1", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        *chat("Is it warm in Oslo?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "-4 degrees, snow"},
    ]
    assert ask(engine, messages=messages, max_tokens=8, temperature=0).text


def test_unicode_goes_in_and_comes_out_whole(engine: CallEngine) -> None:
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    sink = Heard()
    text = "Les élèves français mangent un gâteau 🎂 à Noël."
    schema = {"const": text}
    done = ask(
        engine,
        sink,
        messages=chat(f"Repeat: {text}"),
        json_schema=schema,
        max_tokens=80,
        temperature=0,
    )
    assert msgspec.json.decode(done.text) == text
    assert "\ufffd" not in sink.text


def test_a_long_prompt_is_refused_with_numbers(engine: CallEngine) -> None:
    with pytest.raises(ContextTooLong, match=r"has \d{4} tokens.*takes 1024"):
        ask(engine, messages=chat("word " * 2000))


def test_cancelling_frees_the_slot(engine: CallEngine) -> None:
    sink = Heard(cancel_after=3)
    done = ask(engine, sink, prompt="Once upon a time", max_tokens=900, temperature=0)
    assert done.completion_tokens < 900
    assert len(sink.pieces) < 20
    assert ask(engine, prompt="One, two,", max_tokens=3, temperature=0).text


def test_calls_run_side_by_side(engine: CallEngine) -> None:
    """More calls than slots, one cancelled: each gets its own answer, the same as alone."""
    topics = ["1, 2, 3, 4,", "a, b, c, d,", "Monday, Tuesday,", "two, four, six,"]
    calls = [Generate(prompt=topic, max_tokens=12, temperature=0) for topic in topics]
    got: dict[int, Generated] = {}

    def run(at: int) -> None:
        done = engine.run(calls[at], Heard())
        assert isinstance(done, Generated)
        got[at] = done

    gone = Heard(cancel_after=1)
    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    threads.append(
        threading.Thread(
            target=engine.run, args=(Generate(prompt="Long ago", max_tokens=900), gone)
        )
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == list(range(len(calls)))
    assert "5" in got[0].text
    assert "e" in got[1].text
    assert len(gone.pieces) < 100


def test_a_tool_that_is_not_there_cannot_be_chosen(engine: CallEngine) -> None:
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    choice = {"type": "function", "function": {"name": "zzz"}}
    with pytest.raises(InvalidInput, match=r"'zzz'"):
        ask(engine, messages=chat("q"), tools=[WEATHER], tool_choice=choice)


def test_lora_is_refused_where_there_is_none(engine: CallEngine) -> None:
    call = Generate(prompt="q", lora="mine")
    if engine.serves(call):
        with pytest.raises(LoraNotSupported, match=r"takes no LoRA"):
            engine.run(call, Heard())
    else:
        assert engine.name == "genai"


def test_auto_leaves_the_model_the_choice(engine: CallEngine) -> None:
    """The grammar admits both forms: the one begins with a brace, the other does not."""
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    done = ask(
        engine, messages=chat("Hello! How are you?"), tools=[WEATHER], max_tokens=12, temperature=0
    )
    assert done.tool_calls or not done.text.startswith("{")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"x-guidance": {"whitespace_flexible": True, "item_separator": ";"}},
        {"x-guidance": "rubbish"},
        {"not": {"required": ["zzz"]}},  # no grammar holds this keyword: it is passed over
    ],
)
def test_json_is_compact_whatever_the_schema_says(
    engine: CallEngine, change: dict[str, object]
) -> None:
    if not engine.serves(Generate(prompt="q", json_schema={})):
        assert engine.name == "genai"  # grammars are llama.cpp's part
        return
    asked = chat("Write about Ann, 41, in JSON on many lines.")
    done = ask(
        engine, messages=asked, max_tokens=40, temperature=0, json_schema={**SCHEMA, **change}
    )
    assert "\n" not in done.text
    assert done.text.startswith('{"name": "')
    if done.finish_reason == "stop":
        assert jsonschema_rs.is_valid(SCHEMA, msgspec.json.decode(done.text))
