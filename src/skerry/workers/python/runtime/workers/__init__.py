"""The module that Python Workers are written against."""

from __future__ import annotations

from typing import Any

from _skerry.blobs import Blob, File
from _skerry.context import Context, wait_until
from _skerry.entrypoints import (
    DurableObject,
    WorkerEntrypoint,
    WorkflowEntrypoint,
    handler,
    import_from_javascript,
    patch_env,
    python_from_rpc,
    python_to_rpc,
)
from _skerry.forms import FormData
from _skerry.headers import Headers
from _skerry.messages import Request, Response
from _skerry.outbound import fetch
from _skerry.state import RUNTIME

from . import asgi, wsgi

waitUntil = wait_until
FetchResponse = Response

__all__ = [
    "Blob",
    "Context",
    "DurableObject",
    "FetchResponse",
    "File",
    "FormData",
    "Headers",
    "Request",
    "Response",
    "WorkerEntrypoint",
    "WorkflowEntrypoint",
    "asgi",
    "env",
    "fetch",
    "handler",
    "import_from_javascript",
    "patch_env",
    "python_from_rpc",
    "python_to_rpc",
    "waitUntil",
    "wait_until",
    "wsgi",
]


def __getattr__(name: str) -> Any:
    if name == "env":
        return RUNTIME.get().env
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
