"""Long bodies of numbers: read as short ones are, whatever stands around the list."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.api.body import parse_inputs
from skerry.errors import InvalidInput
from skerry.tasks.binary import LONG
from skerry.tasks.image_classification import ImageClassification

PNG = list(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") + [0, 7] * (LONG // 3)
TASK = ImageClassification()
WANTED = bytes(PNG)
space = st.text(" \n\t\r", max_size=9)


@given(space, space, space, space, st.sampled_from([",", ", ", " ,\n"]))
def test_white_space_anywhere(a: str, b: str, c: str, d: str, comma: str) -> None:
    body = f'{a}{{{b}"image"{c}:{d}[{comma.join(map(str, PNG))}{a}]{b}}}{c}'.encode()
    assert TASK.decode(parse_inputs(body, TASK)) == {"image": WANTED}


@pytest.mark.parametrize("more", [{"a": [1]}, {"a": "]}"}, {"a": 1}])
def test_other_fields_beside_it(more: dict[str, object]) -> None:
    for fields in ({"image": PNG} | more, more | {"image": PNG}):
        inputs = parse_inputs(json.dumps(fields).encode(), TASK)
        assert TASK.decode(inputs) == {"image": WANTED} | more


@pytest.mark.parametrize(
    "end", ["", "]", "}", "]}}", "]]}", ",]}", '"]}', "],}", '],"a":]}', "]}x", "[]}"]
)
def test_what_is_no_json_is_refused(end: str) -> None:
    text = '{"image":[' + ",".join(map(str, PNG))
    with pytest.raises(InvalidInput):
        TASK.decode(parse_inputs((text + end).encode(), TASK))
