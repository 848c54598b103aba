"""Texts through a real tokenizer to a stub engine: embeddings, classification, reranking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from skerry.errors import ContextTooLong, SkerryError
from skerry.tasks.base import Row, RowProcessor
from skerry.tasks.registry import load_tasks
from skerry.tasks.shapes import padded_length, padded_rows
from skerry.types import Inputs, ModelFiles

TASKS = load_tasks()
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "good", "bad", "film", "##s"]
CLS, SEP, A, B, GOOD, FILM = (WORDS.index(w) for w in ("[CLS]", "[SEP]", "a", "b", "good", "film"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A small BERT tokenizer that, like the published ones, pads to 16 and cuts at 12 tokens."""
    tokenizer = Tokenizer(
        models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(12)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def opened(directory: Path, task: str, **options: Any) -> RowProcessor:
    out = TASKS[task].open(ModelFiles("@test/model", task, directory, options))
    assert isinstance(out, RowProcessor)
    return out


def rows_of(model: RowProcessor, inputs: Inputs) -> list[Row]:
    return model.prepare(inputs)


def test_a_text_becomes_ids_without_padding(directory: Path) -> None:
    rows = rows_of(opened(directory, "text-embeddings"), {"text": "A good films"})
    assert [row.data for row in rows] == [[CLS, A, GOOD, FILM, WORDS.index("##s"), SEP]]
    assert rows[0].length == 6


def test_rows_are_padded_to_one_of_few_shapes(directory: Path) -> None:
    model = opened(directory, "text-embeddings", pad_id=1)
    feeds = model.collate(rows_of(model, {"text": ["a", "a b b"]}))
    assert feeds["input_ids"].tolist() == [[CLS, A, SEP, *[1] * 5], [CLS, A, B, B, SEP, 1, 1, 1]]
    assert feeds["attention_mask"].tolist() == [[1] * 3 + [0] * 5, [1] * 5 + [0] * 3]
    assert not feeds["token_type_ids"].any()
    assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}


@given(st.integers(1, 200), st.integers(1, 600))
def test_shapes_are_few_and_never_too_small(rows: int, tokens: int) -> None:
    assert rows <= padded_rows(rows) <= max(2 * rows, rows + 7)
    assert tokens <= padded_length(tokens, 512) <= max(tokens + 31, tokens)
    assert padded_length(tokens, tokens) == tokens
    assert len({padded_rows(n) for n in range(1, 65)}) == 15
    assert len({padded_length(n, 256) for n in range(1, 257)}) == 16


def test_rows_that_only_fill_up_attend_to_one_token_and_are_dropped(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    rows = rows_of(model, {"text": ["a", "b", "c"]})
    feeds = model.collate(rows)
    assert feeds["input_ids"].shape == (4, 8)
    assert feeds["attention_mask"].sum(axis=1).tolist() == [3, 3, 3, 1]
    assert len(model.split({"sentence_embedding": np.ones((4, 8), np.float32)}, 3)) == 3


def test_the_longest_input_is_the_models(directory: Path) -> None:
    text = {"text": "a " * 50}
    assert rows_of(opened(directory, "text-embeddings"), text)[0].length == 12
    assert rows_of(opened(directory, "text-embeddings", max_tokens=20), text)[0].length == 20


def test_a_text_that_would_be_cut_is_refused_on_request(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    exact = {"text": "a " * 10, "truncate_inputs": False}
    assert rows_of(model, exact)[0].length == 12
    with pytest.raises(ContextTooLong, match="12 tokens"):
        rows_of(model, {"text": ["a", "a " * 11], "truncate_inputs": False})


def test_a_vast_text_is_read_only_as_far_as_it_counts(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    rows = rows_of(model, {"text": " \n" * 40 + "good " * 800_000})
    assert rows[0].data == [CLS, *[GOOD] * 10, SEP]


def test_several_requests_are_prepared_as_one(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    many: list[Inputs] = [
        {"text": "a"},
        {"text": ["b", "good"]},
        {"text": "film", "pooling": "mean"},
    ]
    alone = [model.prepare(inputs) for inputs in many]
    assert model.prepare_many(many) == alone


def test_one_bad_request_does_not_spoil_the_others(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    broken, whole = model.prepare_many([{"text": "\ud800"}, {"text": "a"}])
    assert isinstance(broken, Exception)
    assert whole == model.prepare({"text": "a"})
    too_long, whole = model.prepare_many(
        [{"text": "a " * 30, "truncate_inputs": False}, {"text": "a"}]
    )
    assert isinstance(too_long, ContextTooLong)
    assert whole == model.prepare({"text": "a"})


def test_embeddings_that_the_graph_has_pooled(directory: Path) -> None:
    model = opened(directory, "text-embeddings")
    inputs: Inputs = {"text": ["a", "a b", "b"]}
    rows = model.prepare(inputs)
    vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    results = model.split({"sentence_embedding": vectors, "other": vectors * 0}, 3)
    value, usage = model.finish(inputs, rows, results)
    assert value["shape"] == [3, 8]
    assert value["pooling"] == "mean"
    assert value["data"].dtype == np.float32
    assert np.array_equal(value["data"], vectors[:3])
    assert usage.prompt_tokens == 3 + 4 + 3
    one, _ = model.finish({"text": "a"}, rows[:1], results[:1])
    assert np.array_equal(one["data"], vectors[:1])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_are_pooled_here_where_the_graph_does_not(directory: Path, pooling: str) -> None:
    model = opened(directory, "text-embeddings", pooling="cls", poolings=["cls", "mean"])
    inputs: Inputs = {"text": ["a", "a b b"], "pooling": pooling}
    rows = model.prepare(inputs)
    feeds = model.collate(rows)
    hidden = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    hidden[0, 3:] = 1e6  # what the graph says of padding must not count
    value, _ = model.finish(inputs, rows, model.split({"last_hidden_state": hidden}, 2))
    mask = feeds["attention_mask"][..., None]
    wanted = hidden[:, 0] if pooling == "cls" else (hidden * mask).sum(1) / mask.sum(1)
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    assert value["data"] == pytest.approx(wanted, abs=1e-5)
    assert value["pooling"] == pooling
    default, _ = model.finish({"text": "a"}, rows[:1], [hidden[0]])
    assert default["pooling"] == "cls"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=5))
def test_any_text_has_a_row(directory: Path, texts: list[str]) -> None:
    model = opened(directory, "text-embeddings")
    rows = model.prepare({"text": texts})
    feeds = model.collate(rows)
    assert len(rows) == len(texts)
    lengths = feeds["attention_mask"].sum(axis=1).tolist()
    assert lengths[: len(rows)] == [row.length for row in rows]
    assert all(2 <= row.length <= 12 for row in rows)


@pytest.mark.parametrize("content", [None, b"{}", b"not json"])
def test_a_tokenizer_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(SkerryError, match=r"@test/model: tokenizer\.json"):
        opened(tmp_path, "text-embeddings")


def test_every_label_with_its_score(directory: Path) -> None:
    (directory / "config.json").write_text(
        json.dumps({"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}})
    )
    model = opened(directory, "text-classification")
    many: list[Inputs] = [{"text": "good film"}, {"text": "bad"}]
    prepared = model.prepare_many(many)
    rows = [row for group in prepared if isinstance(group, list) for row in group]
    assert model.collate(rows)["input_ids"].shape == (2, 8)
    results = model.split({"logits": np.array([[-1.0, 3.0], [800.0, -800.0]], np.float32)}, 2)
    value, usage = model.finish(many[0], rows[:1], results[:1])
    sure = 1 / (1 + np.exp(-4.0))
    assert value == [
        {"label": "NEGATIVE", "score": pytest.approx(1 - sure)},
        {"label": "POSITIVE", "score": pytest.approx(sure)},
    ]
    assert usage.prompt_tokens == 4
    value, _ = model.finish(many[1], rows[1:], results[1:])
    assert [item["score"] for item in value] == [1.0, 0.0]


def test_contexts_are_ranked(directory: Path) -> None:
    model = opened(directory, "text-classification", rerank=True)
    inputs: Inputs = {
        "query": "a",
        "contexts": [{"text": "b"}, {"text": "good film"}, {"text": "c"}],
    }
    rows = model.prepare(inputs)
    feeds = model.collate(rows)
    assert feeds["input_ids"][1, :6].tolist() == [CLS, A, SEP, GOOD, FILM, SEP]
    assert feeds["token_type_ids"][1].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    results = model.split({"logits": np.array([[0.0], [2.0], [-2000.0]], np.float32)}, 3)
    value, usage = model.finish(inputs, rows, results)
    assert [item["id"] for item in value["response"]] == [1, 0, 2]
    assert value["response"][1]["score"] == 0.5
    assert usage.prompt_tokens == 5 + 6 + 5
    value, _ = model.finish({**inputs, "top_k": 1}, rows, results)
    assert [item["id"] for item in value["response"]] == [1]
