"""LoRA adapters through a whole node, on real weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import skerry
from skerry.catalog.store import Store
from skerry.errors import LoraMissing, LoraNotSupported
from skerry.settings import Settings
from skerry.types import ModelFiles
from tests.adapters import write_adapter

MODEL = "@skerry/smollm2-135m-instruct"
PLAIN = """
name = "@mine/no-lora"
task = "text-generation"
description = "The same weights, without LoRA."
licence = "Apache-2.0"
engines = ["dummy"]
"""

pytestmark = pytest.mark.models


async def test_an_adapter_changes_only_the_answers_that_name_it(
    tmp_path: Path, pulled: Callable[[str], ModelFiles], store: Store
) -> None:
    folder = tmp_path / "data" / "loras" / "skerry--smollm2-135m-instruct"
    folder.mkdir(parents=True)
    weights = pulled(MODEL).path("model.gguf")
    write_adapter(weights, folder / "strange.gguf")
    write_adapter(weights, tmp_path / "outside.gguf", seed=1)
    (tmp_path / "plain.toml").write_text(PLAIN)
    chosen = Settings(
        data_dir=tmp_path / "data", models=store.root, catalog=[tmp_path], tune=False, threads=1
    )
    ask = {"prompt": "Name a sea.", "max_tokens": 8, "temperature": 0}
    async with skerry.AI(settings=chosen) as ai:
        before = (await ai.run(MODEL, ask))["response"]
        strange = (await ai.run(MODEL, ask | {"lora": "strange"}))["response"]
        again = (await ai.run(MODEL, ask | {"lora": "strange"}))["response"]
        after = (await ai.run(MODEL, ask))["response"]
        for name in ("none", "../../../outside", str(tmp_path / "outside"), "", "strange.gguf"):
            with pytest.raises(LoraMissing, match="there are: strange") as caught:
                await ai.run(MODEL, ask | {"lora": name})
            assert caught.value.code == 3039
        with pytest.raises(LoraNotSupported) as refused:
            await ai.run("@mine/no-lora", ask | {"lora": "strange"})
    assert before == after
    assert strange == again != before
    assert refused.value.code == 5005
