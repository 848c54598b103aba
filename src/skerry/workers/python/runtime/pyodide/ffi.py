"""`to_js`, `create_proxy` and their like: values need no conversion in a native process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _skerry.sync import run_sync
from _skerry.values import Array, Result, Uint8Array, plain, result

jsnull = None


class JsProxy:
    """No value is one: there is no JavaScript here."""


class JsException(Exception):
    """No error is one: bindings raise Python's own."""


class JsBuffer(JsProxy):
    """As JsProxy."""


ConversionError = TypeError
JsArray = Array
JsMap = Result
JsPromise = JsCallable = JsProxy


def to_js(value: Any, *, dict_converter: Callable[..., Any] | None = None, **_: Any) -> Any:
    """The value, with attribute access for its dicts, and bytes with `.buffer`."""
    if isinstance(value, bytes | bytearray | memoryview):
        return Uint8Array(value)
    if isinstance(value, dict | list | tuple):
        return result(value)
    return value


def to_py(value: Any, **_: Any) -> Any:
    return plain(value)


def create_proxy(value: Any, *_: Any, **__: Any) -> Any:
    """The value itself."""
    return value


create_once_callable = create_proxy


def destroy_proxies(*_: Any) -> None:
    """There are none."""


def can_run_sync() -> bool:
    """Whether run_sync works here: in WSGI applications and other threads."""
    from _skerry.sync import can_run_sync as possible

    return possible()


__all__ = [
    "ConversionError",
    "JsArray",
    "JsBuffer",
    "JsCallable",
    "JsException",
    "JsMap",
    "JsPromise",
    "JsProxy",
    "can_run_sync",
    "create_once_callable",
    "create_proxy",
    "destroy_proxies",
    "jsnull",
    "run_sync",
    "to_js",
    "to_py",
]
