"""The check of inputs: what passes, and what is said where it does not."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import AiError, CatalogError, InvalidInput
from skerry.tasks.registry import load_tasks
from skerry.tasks.validate import InputCheck, input_schema

TASKS = load_tasks()
ONE_BY_ONE_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00"
    b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def check(task: str, **parts: Any) -> InputCheck:
    return InputCheck(
        TASKS[task], parts.get("schema", {}), parts.get("defaults", {}), parts.get("options", {})
    )


def nested(depth: int) -> list[Any]:
    out: list[Any] = []
    for _ in range(depth):
        out = [out]
    return out


@pytest.mark.parametrize(
    ("task", "inputs", "says"),
    [
        ("text-generation", {}, "required properties at '/' are 'prompt'"),
        (
            "text-generation",
            {"prompt": "a", "messages": [{"role": "user", "content": "b"}]},
            "prompt and messages",
        ),
        ("text-generation", {"prompt": 5}, "Type mismatch of '/prompt', 'integer' not in 'string'"),
        ("text-generation", {"prompt": ""}, "minLength at '/prompt'"),
        ("text-generation", {"prompt": None}, "Type mismatch of '/prompt', 'null'"),
        ("text-generation", {"prompt": b"a"}, "'/prompt' is something that JSON has not"),
        (
            "text-generation",
            {"prompt": "a", "temprature": 1},
            "Additional or unevaluated properties '/temprature' at '/' not allowed",
        ),
        ("text-generation", {"prompt": "a", "temperature": 9}, "Send at most 5"),
        ("text-generation", {"prompt": "a", "temperature": float("nan")}, "not a finite number"),
        ("text-generation", {"prompt": "a", "top_p": float("inf")}, "not a finite number"),
        ("text-generation", {"prompt": "a", "max_tokens": 1.5}, "'number' not in 'integer'"),
        ("text-generation", {"prompt": "a", "max_tokens": 0}, "Send at least 1"),
        ("text-generation", {"prompt": "a", "seed": 10**400}, "'/seed'"),
        ("text-generation", {"prompt": "a", "stop": 5}, "'/stop'"),
        ("text-generation", {"prompt": "a", "stop": ["a", 4]}, "'/stop/1'"),
        ("text-generation", {"prompt": "\ud800"}, "surrogate"),
        ("text-generation", {"prompt": "a", "\udfff": 1}, "surrogate"),
        ("text-generation", {"prompt": "a", "tools": nested(200)}, "'/tools/0'"),
        ("text-generation", {"prompt": "a", "tools": nested(20_000)}, "nested too deeply"),
        ("text-generation", {"prompt": "a", "tools": [{1: 2}]}, "JSON"),
        ("text-generation", {"prompt": "a", "tools": [object()]}, "JSON"),
        ("text-generation", {"messages": []}, "minItems at '/messages'"),
        ("text-generation", {"messages": [{"role": "boss", "content": "a"}]}, "enum boss not in"),
        ("text-generation", {"messages": [{"content": "a"}]}, "'/messages/0' are 'role'"),
        ("text-generation", {"messages": [{"role": "user"}]}, "'/messages/0' are 'content'"),
        (
            "text-generation",
            {"messages": [{"role": "user", "content": 5}]},
            "'/messages/0/content'",
        ),
        ("text-embeddings", {"text": []}, "minItems at '/text'"),
        ("text-embeddings", {"text": ["a"] * 101}, "Send at most 100"),
        ("text-embeddings", {"text": ["a", ""]}, "minLength at '/text/1'"),
        ("text-embeddings", {"text": {}}, "'object' not in 'string','array'"),
        ("text-embeddings", {"text": "a", "pooling": "max"}, "enum max not in mean,cls"),
        ("text-embeddings", {"text": "a", "pooling": "cls"}, "only mean pooling"),
        ("text-classification", {"txt": "a"}, "'/txt'"),
        ("image-classification", {"image": 5}, "'/image'"),
        ("image-classification", {}, "'image'"),
        ("summarization", {"input_text": "a", "max_length": "9"}, "'/max_length'"),
        ("translation", {"text": "a"}, "'target_lang'"),
        ("text-to-speech", {"prompt": "a", "lang": "xx"}, "enum xx not in en"),
        ("text-to-speech", {"prompt": "a", "voice": "bob"}, "'bob'"),
        ("text-to-speech", {"prompt": " … "}, "nothing to say"),
        ("text-to-speech", {"prompt": "a", "text": "a"}, "prompt and text"),
    ],
)
def test_what_is_wrong_is_named(task: str, inputs: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(task).check(inputs)
    assert caught.value.code == 5006
    assert caught.value.message.startswith("Bad input: Error: ")
    assert says in caught.value.message
    assert len(caught.value.message) < 600


@pytest.mark.parametrize("inputs", [None, [], "text", 5, b"bytes"])
def test_inputs_that_are_no_object(inputs: Any) -> None:
    with pytest.raises(InvalidInput, match="not in 'object'"):
        check("text-embeddings").check(inputs)


def test_defaults_fill_what_is_missing_and_the_callers_object_stays() -> None:
    mine = {"prompt": "a", "top_k": 3}
    before = copy.deepcopy(mine)
    out = check("text-generation", defaults={"max_tokens": 64, "top_k": 9}).check(mine)
    assert out == {"prompt": "a", "top_k": 3, "max_tokens": 64}
    assert mine == before


def test_a_model_replaces_adds_and_takes_away_fields() -> None:
    own = check(
        "text-generation",
        schema={"max_tokens": {"type": "integer", "maximum": 10}, "tools": False, "mood": {}},
    )
    own.check({"prompt": "a", "max_tokens": 10, "mood": "calm"})
    with pytest.raises(InvalidInput, match="Send at most 10"):
        own.check({"prompt": "a", "max_tokens": 11})
    with pytest.raises(InvalidInput, match="'/tools'"):
        own.check({"prompt": "a", "tools": []})


def test_a_model_may_require_other_fields() -> None:
    with pytest.raises(InvalidInput, match="'pooling'"):
        check("text-embeddings", schema={"required": ["text", "pooling"]}).check({"text": "a"})


def test_a_models_broken_schema_is_the_catalogs_fault() -> None:
    with pytest.raises(CatalogError, match="text-embeddings"):
        check("text-embeddings", schema={"text": {"type": "strng"}})


def test_a_reranker_has_its_own_schema() -> None:
    ranker = check("text-classification", options={"rerank": True})
    ranker.check({"query": "a", "contexts": [{"text": "b"}], "top_k": 1})
    with pytest.raises(InvalidInput, match="'/text'"):
        ranker.check({"text": "a"})
    with pytest.raises(InvalidInput, match="minItems at '/contexts'"):
        ranker.check({"query": "a", "contexts": []})


@pytest.mark.parametrize("name", TASKS)
def test_schemas_are_schemas_and_every_field_is_described(name: str) -> None:
    task = TASKS[name]
    for options in ({}, {"rerank": True}):
        schema = input_schema(task, {}, options)
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.meta.validate(task.output_for(options))
        assert schema["additionalProperties"] is False
        for field, value in schema["properties"].items():
            assert value.get("description", "").endswith("."), f"{name}.{field}"


def test_a_schema_can_be_changed_without_changing_the_next() -> None:
    task = TASKS["text-generation"]
    task.input_schema["properties"].clear()
    assert task.input_schema["properties"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
fields = sorted({f for task in TASKS.values() for f in task.input_schema["properties"]})


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(TASKS)),
    inputs=st.dictionaries(st.sampled_from(fields) | st.text(max_size=3), json_values, max_size=5),
)
def test_whatever_comes_passes_or_is_refused(name: str, inputs: dict[str, Any]) -> None:
    try:
        out = check(name).check(inputs)
    except AiError as error:
        assert error.code in {5006, 5004, 3006}
    else:
        assert inputs.keys() <= out.keys()


def test_a_raw_image_passes_and_stays_bytes() -> None:
    out = check("image-classification").check({"image": list(ONE_BY_ONE_GIF)})
    assert out == {"image": ONE_BY_ONE_GIF}
