"""The dummy engine answers the same to the same, and dies when asked to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skerry.engines.base import Choice
from skerry.engines.dummy import Dummy
from skerry.errors import ContextTooLong, EngineError
from skerry.tasks.base import Embed, Embedded, Generate, Speak, Spoken, Transcribe, Transcribed
from skerry.types import ModelFiles
from tests.engines.sinks import Heard


def dummy(task: str = "text-generation", context: int | None = None, **options: object) -> Dummy:
    files = ModelFiles("@skerry/dummy", task, Path(), {}, context)
    return Dummy.load(files, Choice(engine="dummy", options=dict(options)))


def test_chat_echoes_token_by_token() -> None:
    sink = Heard()
    done = dummy().run(Generate(messages=[{"role": "user", "content": "one two  three"}]), sink)
    assert sink.pieces == ["one", " two", "  three"] or sink.text == "one two  three"
    assert done == dummy().run(Generate(prompt="one two  three"), Heard())


def test_max_tokens_and_stop_strings_end_it() -> None:
    cut = dummy().run(Generate(prompt="a b c d", max_tokens=2), Heard())
    assert (getattr(cut, "text", None), getattr(cut, "finish_reason", None)) == ("a b", "length")
    stopped = dummy().run(Generate(prompt="a b c d", stop=["c"]), Heard())
    assert (getattr(stopped, "text", None), getattr(stopped, "finish_reason", None)) == (
        "a b ",
        "stop",
    )


def test_a_long_prompt_is_refused_with_numbers() -> None:
    with pytest.raises(ContextTooLong, match=r"4 tokens.*takes 3"):
        dummy(context=3).run(Generate(prompt="a b c d"), Heard())


def test_rows_do_not_depend_on_padding_or_company() -> None:
    engine = dummy("text-embeddings")
    alone = engine.infer(
        {"input_ids": np.array([[5, 6]]), "attention_mask": np.ones((1, 2), np.int64)}, 0
    )["last_hidden_state"]
    padded = engine.infer(
        {
            "input_ids": np.array([[7, 8, 9], [5, 6, 0]]),
            "attention_mask": np.array([[1, 1, 1], [1, 1, 0]]),
        },
        0,
    )["last_hidden_state"]
    assert alone.shape == (1, 2, 384)
    assert padded.shape == (2, 3, 384)
    assert np.array_equal(alone[0, 0], padded[1, 0])
    assert not np.array_equal(padded[0, 0], padded[1, 0])


def test_outputs_have_the_shapes_that_options_name() -> None:
    engine = dummy("image-classification", outputs={"logits": ["batch", 7]})
    out = engine.infer({"image": np.zeros((3, 3, 8, 8), np.float32)}, 0)
    assert out["logits"].shape == (3, 7)
    assert out["logits"].dtype == np.float32


def test_other_calls() -> None:
    spoken = dummy().run(Speak(text="hello"), Heard())
    assert isinstance(spoken, Spoken)
    assert spoken.samples.dtype == np.float32
    heard = dummy().run(Transcribe(samples=np.zeros(24000, np.float32)), Heard())
    assert isinstance(heard, Transcribed)
    assert [segment.end for segment in heard.segments] == [1.0, 1.5]
    embedded = dummy().run(Embed(texts=["a", "b", "a"]), Heard())
    assert isinstance(embedded, Embedded)
    assert np.array_equal(embedded.vectors[0], embedded.vectors[2])


def test_it_fails_on_request() -> None:
    with pytest.raises(EngineError, match=r"asked to fail"):
        dummy().run(Generate(prompt="please !fail"), Heard())


@pytest.mark.parametrize(("word", "code"), [("!segfault", -11), ("!exit", 3)])
def test_it_dies_on_request(word: str, code: int) -> None:
    program = (
        "from tests.engines.test_dummy import dummy, Heard, Generate\n"
        f"dummy().run(Generate(prompt='now {word}'), Heard())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == code
