"""Which of a configuration's values count for the chosen `env.NAME`: wrangler's rules.

What a worker is bound to is not taken over from the top level, and its absence is told; the rest
is. A few keys stand at the top level only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from skerry.workers.diagnostics import Diagnostic
from skerry.workers.wrangler.check import check
from skerry.workers.wrangler.document import Document, Keys, dotted
from skerry.workers.wrangler.keys import ENVIRONMENT, PROJECT


class Chosen:
    """The values of a document for one environment; env None: the top level's.

    `get` must be asked only after `check` gave no error: it trusts the types.
    """

    def __init__(self, document: Document, env: str | None) -> None:
        self.document = document
        self.env = env
        table = document.value.get("env")
        self.blocks: dict[str, Any] = table if isinstance(table, dict) else {}
        block = self.blocks.get(env) if env is not None else None
        self.block: dict[str, Any] | None = block if isinstance(block, dict) else None

    def check(self) -> Iterator[Diagnostic]:
        """Everything there is to say about the keys of this document."""
        document = self.document
        for way in document.repeated:
            message = f"`{dotted(way)}` stands twice; the last one counts"
            yield document.say("warning", message, way, of_key=True)
        yield from check(document, PROJECT)
        if "env" in document.value and not isinstance(document.value["env"], dict):
            yield document.say("error", "`env` must be a table of environments", ("env",))
        for name, block in self.blocks.items():
            way = ("env", name)
            if not isinstance(block, dict):
                yield document.say("error", f"`{dotted(way)}` must be a table", way)
            else:
                yield from check(document, ENVIRONMENT, way, only_faults=name != self.env)
        if self.env is not None:
            yield from self.missing(self.env)

    def missing(self, env: str) -> Iterator[Diagnostic]:
        """What the chosen environment does not have."""
        if self.block is None:
            known = ", ".join(sorted(self.blocks))
            message = f"there is no environment {env!r}"
            if known:
                yield self.document.say("error", f"{message}; there is: {known}", ("env",))
            else:
                message += "; the top level's values are taken"
                yield self.document.say("warning", message, ("env",))
            return
        way: Keys = ("env", env)
        for key in ENVIRONMENT.keys:
            top = self.document.value.get(key.name)
            if key.scope != "own" or key.support != "supported" or not top:
                continue
            mine = self.block.get(key.name)
            if mine is None:
                message = (
                    f"`{key.name}` is not taken over by an environment:"
                    f" `{dotted(way)}` has none; repeat it there"
                )
                yield self.document.say("warning", message, way)
            elif key.name == "vars" and isinstance(top, dict) and isinstance(mine, dict):
                lost = [name for name in top if name not in mine]
                if lost:
                    message = (
                        f"`vars` are not taken over by an environment: `{dotted((*way, 'vars'))}`"
                        f" has no {', '.join(lost)}"
                    )
                    yield self.document.say("warning", message, (*way, "vars"))

    def way(self, name: str) -> Keys | None:
        """The way to the value of a top-level key that counts; None if there is none."""
        if self.env is not None and self.block is not None:
            key = ENVIRONMENT.find(name)
            if key is not None and self.block.get(name) is not None:
                return ("env", self.env, name)
            if key is not None and key.scope == "own":
                return None
        return (name,) if self.document.value.get(name) is not None else None

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a top-level key that counts."""
        way = self.way(name)
        if way is None:
            return default
        value: Any = self.document.value
        for part in way:
            value = value[part]
        return value

    def name(self) -> str | None:
        """The worker's name: an environment's own, or NAME-ENV."""
        top: str | None = self.document.value.get("name")
        if self.env is None:
            return top
        own: str | None = self.block.get("name") if self.block is not None else None
        return own or (top and f"{top}-{self.env}")
