"""JavaScript's globals as published Python workers use them, made of Python's own values."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, unquote

from _skerry.blobs import Blob, File
from _skerry.forms import FormData, URLSearchParams
from _skerry.headers import JsHeaders as Headers
from _skerry.messages import Request, Response
from _skerry.outbound import fetch
from _skerry.state import RUNTIME
from _skerry.streams import ReadableStream, TransformStream, WritableStream
from _skerry.values import Result as Map
from _skerry.web import (
    URL,
    Crypto,
    Object,
    Performance,
    Promise,
    TextDecoder,
    TextEncoder,
    clear_timeout,
    set_timeout,
)
from _skerry.web import JsArray as Array
from _skerry.web import JsDate as Date
from _skerry.web import Json as JSON
from _skerry.web import JsUint8Array as Uint8Array
from _skerry.websocket import WebSocket, WebSocketPair

ArrayBuffer = Uint8Array
Error = Exception
crypto = Crypto()
performance = Performance()
setTimeout, clearTimeout = set_timeout, clear_timeout
undefined = None
null = None


def btoa(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).decode()


def atob(text: str) -> str:
    return base64.b64decode(text, validate=True).decode("latin-1")


def encodeURIComponent(text: Any) -> str:
    return quote(str(text), safe="-_.!~*'()")


def decodeURIComponent(text: str) -> str:
    return unquote(text, errors="strict")


def structuredClone(value: Any) -> Any:
    from copy import deepcopy

    return deepcopy(value)


def __getattr__(name: str) -> Any:
    if name == "console":
        return RUNTIME.get().console
    if name == "caches":
        return RUNTIME.get().caches
    raise AttributeError(
        f"there is no JavaScript in a Python worker here, and js.{name} is not among the shims"
    )


__all__ = [
    "JSON",
    "URL",
    "Array",
    "ArrayBuffer",
    "Blob",
    "Date",
    "Error",
    "File",
    "FormData",
    "Headers",
    "Map",
    "Object",
    "Promise",
    "ReadableStream",
    "Request",
    "Response",
    "TextDecoder",
    "TextEncoder",
    "TransformStream",
    "URLSearchParams",
    "Uint8Array",
    "WebSocket",
    "WebSocketPair",
    "WritableStream",
    "atob",
    "btoa",
    "clearTimeout",
    "crypto",
    "decodeURIComponent",
    "encodeURIComponent",
    "fetch",
    "null",
    "performance",
    "setTimeout",
    "structuredClone",
    "undefined",
]
