"""Translation by CTranslate2, on a model of random weights that is built here.

What it says is nonsense, so only what the engine does is looked at: tokens, lines, languages,
bounds, cancellation.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from skerry.engines.base import Choice
from skerry.engines.ctranslate2 import CTranslate2
from skerry.errors import EngineError, InvalidInput
from skerry.tasks.base import Array, Translate, Translated
from skerry.types import ModelFiles
from tests.engines.sinks import Heard

ctranslate2 = pytest.importorskip("ctranslate2")
sentencepiece = pytest.importorskip("sentencepiece")

WIDTH, HEADS = 16, 2
TEXT = "the quick brown fox jumps over the lazy dog and runs away from the old town"


def _fill(stack: Any, random: np.random.Generator, tokens: int) -> None:
    """Random weights for an encoder or decoder of one layer."""

    def weights(*shape: int) -> Array:
        return random.normal(0, 0.5, shape).astype(np.float32)

    def linear(layer: Any, out: int, into: int) -> None:
        layer.weight = weights(out, into)
        layer.bias = weights(out)

    def norm(layer: Any) -> None:
        layer.gamma = np.ones(WIDTH, np.float32)
        layer.beta = np.zeros(WIDTH, np.float32)

    decoder = hasattr(stack, "projection")
    embeddings = stack.embeddings if decoder else stack.embeddings[0]
    embeddings.weight = weights(tokens, WIDTH)
    stack.scale_embeddings = True
    stack.position_encodings.encodings = weights(128, WIDTH)
    norm(stack.layer_norm)
    for layer in stack.layer:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
        linear(layer.self_attention.linear[1], WIDTH, WIDTH)
        if decoder:
            norm(layer.attention.layer_norm)
            linear(layer.attention.linear[0], WIDTH, WIDTH)
            linear(layer.attention.linear[1], 2 * WIDTH, WIDTH)
            linear(layer.attention.linear[2], WIDTH, WIDTH)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
    if decoder:
        linear(stack.projection, tokens, WIDTH)
        stack.projection.bias[2] += 3  # "</s>": an answer ends some time


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("translator")
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT] * 20), model_writer=made, vocab_size=40,
        model_type="bpe", minloglevel=9,
    )  # fmt: skip
    (folder / "sentencepiece.model").write_bytes(made.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
    tokens = ["<s>", "<pad>", "</s>", "<unk>"]
    tokens += [pieces.id_to_piece(at) for at in range(3, pieces.vocab_size())]
    tokens += ["__en__", "__fr__"]
    spec = ctranslate2.specs.TransformerSpec.from_config(1, HEADS, pre_norm=True)
    random = np.random.default_rng(3)
    _fill(spec.encoder, random, len(tokens))
    _fill(spec.decoder, random, len(tokens))
    spec.config.decoder_start_token = "</s>"
    spec.register_source_vocabulary(tokens)
    spec.register_target_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    return ModelFiles("@test/translator", "translation", folder, {})


@pytest.fixture(scope="module")
def engine(files: ModelFiles) -> CTranslate2:
    return CTranslate2.load(files, Choice(engine="ctranslate2", precision="int8", threads=1))


def translate(
    engine: CTranslate2,
    text: str,
    sink: Heard | None = None,
    *,
    target: str = "fr",
    max_tokens: int = 100,
) -> Translated:
    asked = Translate(text=text, source="en", target=target, max_tokens=max_tokens)
    done = engine.run(asked, sink or Heard())
    assert isinstance(done, Translated)
    return done


def test_tokens_are_counted_and_bounded(engine: CTranslate2) -> None:
    done = translate(engine, "the quick fox", max_tokens=5)
    assert done.prompt_tokens > 4  # the language, the pieces, the end
    assert 0 < done.completion_tokens <= 5
    assert "__fr__" not in done.text
    assert "</s>" not in done.text
    assert translate(engine, "the quick fox", max_tokens=5) == done


def test_the_input_matters(engine: CTranslate2) -> None:
    one, two = (translate(engine, text, max_tokens=8) for text in ("the fox", "lazy old dog"))
    assert one.text != two.text


def test_lines_stay_lines(engine: CTranslate2) -> None:
    done = translate(engine, "the fox\n\nlazy old dog", max_tokens=100)
    lines = done.text.split("\n")
    assert len(lines) == 3
    assert lines[1] == ""
    assert lines[0] == translate(engine, "the fox", max_tokens=100).text


def test_a_cancelled_call_stops_between_lines(engine: CTranslate2) -> None:
    sink = Heard(cancel_after=2)
    done = translate(engine, "the fox\n" * 50, sink, max_tokens=100)
    assert len(done.text.split("\n")) == len(sink.pieces) == 2


def test_a_language_that_the_model_has_not(engine: CTranslate2) -> None:
    with pytest.raises(InvalidInput, match="'xx'"):
        translate(engine, "the fox", target="xx")


def test_a_model_without_its_tokenizer_says_which_file(files: ModelFiles) -> None:
    choice = Choice(engine="ctranslate2", options={"sentencepiece": "other.model"})
    with pytest.raises(EngineError, match=r"other\.model"):
        CTranslate2.load(files, choice)
