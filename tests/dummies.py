"""Catalog entries of dummy models, as the TOML files that a user would write."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from skerry.settings import Settings

CHAT = """
name = "@skerry/dummy-chat"
task = "text-generation"
description = "Echoes."
licence = "Apache-2.0"
context = 4096
engines = ["dummy"]
price = { input = 1000000.0, output = 1000000.0 }
"""

EMBED = """
name = "@skerry/dummy-embed"
task = "text-embeddings"
description = "A vector from the text's hash."
licence = "Apache-2.0"
engines = ["dummy"]
standin_for = ["@cf/baai/bge-small-en-v1.5"]
artifacts = [{ name = "tokenizer.json", sha256 = "SHA256", mirrors = ["file:PATH"] }]
"""

SLOW = (
    CHAT.replace("dummy-chat", "dummy-slow")
    + """
[engine_options.dummy]
delay = 0.05
capacity = 1
"""
)

RETIRED = (
    CHAT.replace("dummy-chat", "dummy-retired")
    + """
[deprecation]
date = "2026-01-01"
successor = "@skerry/dummy-chat"
"""
)

LICENSED = CHAT.replace("dummy-chat", "dummy-licensed") + "accept_licence = true\n"


def tokenizer(path: Path) -> str:
    """Write a tokenizer of single bytes; answers the file's sha256."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={char: at for at, char in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.save(str(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(folder: Path) -> Path:
    """The entries as files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tokenizer.json"
    embed = EMBED.replace("SHA256", tokenizer(file)).replace("PATH", str(file))
    entries = {
        "chat": CHAT,
        "embed": embed,
        "slow": SLOW,
        "retired": RETIRED,
        "licensed": LICENSED,
    }
    for name, text in entries.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def settings(tmp: Path, **changes: object) -> Settings:
    """A node's settings on dummy models, with everything under `tmp`, on a free port."""
    values: dict[str, object] = {
        "data_dir": tmp / "data",
        "models": tmp / "models",
        "catalog": [write(tmp / "catalog")],
        "port": 0,
        "offline": True,
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]
