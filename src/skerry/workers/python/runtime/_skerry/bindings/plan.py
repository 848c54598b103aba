"""Makes `env` of what the node says about the worker's bindings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from _skerry.bindings.ai import Ai
from _skerry.bindings.d1 import D1Database
from _skerry.bindings.fetchers import Fetcher
from _skerry.bindings.kv import KvNamespace
from _skerry.bindings.queues import Queue
from _skerry.bindings.r2 import R2Bucket
from _skerry.bindings.small import AnalyticsEngine, RateLimit
from _skerry.bindings.vectorize import VectorizeIndex
from _skerry.client import Client
from _skerry.values import result

Maker = Callable[[Client, str], Any]


class Env:
    """Bindings, vars and secrets as attributes; `env["NAME"]` too."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        has = ", ".join(sorted(self.__dict__)) or "nothing"
        raise AttributeError(f"env has no {name!r}: the configuration binds {has}")

    def get(self, name: str, default: Any = None) -> Any:
        return self.__dict__.get(name, default)

    def keys(self) -> Any:
        return self.__dict__.keys()

    def to_py(self, **_: Any) -> dict[str, Any]:
        return dict(self.__dict__)

    def __repr__(self) -> str:
        return f"Env({', '.join(sorted(self.__dict__))})"

    @contextlib.contextmanager
    def patched(self, values: Mapping[str, Any]) -> Iterator[None]:
        """With these values in place of its own, for tests."""
        before = dict(self.__dict__)
        self.__dict__.update(values)
        try:
            yield
        finally:
            self.__dict__.clear()
            self.__dict__.update(before)


def makers() -> dict[str, Maker]:
    """Kind of binding, as the node names it -> what makes its object."""
    return {
        "AiBinding": Ai,
        "AnalyticsBinding": AnalyticsEngine,
        "AssetsBinding": Fetcher,
        "D1Binding": D1Database,
        "KvBinding": KvNamespace,
        "QueueBinding": Queue,
        "R2Binding": R2Bucket,
        "RateLimitBinding": RateLimit,
        "ServiceBinding": Fetcher,
        "VectorizeBinding": VectorizeIndex,
    }


def make_env(plan: Mapping[str, Any], client: Client) -> Env:
    """plan: `vars` by name, `bindings` as a list of {name, kind}."""
    kinds = makers()
    values = {name: result(value) for name, value in plan["vars"].items()}
    for binding in plan["bindings"]:
        values[binding["name"]] = kinds[binding["kind"]](client, binding["name"])
    return Env(values)
