"""Which stand-in answers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from skerry.ai.resolve import Resolve
from skerry.catalog.catalog import Catalog
from skerry.settings import Settings
from skerry.tasks.registry import load_tasks

SMALL = "@skerry/smollm2-135m-instruct"
LARGE = "@skerry/qwen2.5-coder-0.5b-instruct"
LLAMA = "@cf/meta/llama-2-7b-chat-int8"


@pytest.mark.parametrize(
    ("asked", "there", "answers"),
    [
        (LLAMA, [], SMALL),
        (LLAMA, [SMALL], SMALL),
        (LLAMA, [LARGE], LARGE),
        (LLAMA, [SMALL, LARGE], LARGE),
        (LLAMA, [LLAMA, SMALL, LARGE], LLAMA),
        ("@cf/huggingface/distilbert-sst-2-int8", [], "@skerry/minilm-sst2"),
        ("@cf/baai/bge-base-en-v1.5", [], "@skerry/mpnet-base-v2"),
        ("@cf/microsoft/resnet-50", [], "@skerry/efficientnet-lite0"),
    ],
)
def test_the_best_standin_answers(
    tmp_path: Path, asked: str, there: Collection[str], answers: str
) -> None:
    settings = Settings(standins=True, data_dir=tmp_path, accept_licences=["*"])
    resolve = Resolve(settings, Catalog(), load_tasks(), lambda entry: entry.name in there)
    entry, standin_for = resolve.resolve(asked)
    assert entry.name == answers
    assert standin_for == (asked if answers != asked else None)
