"""workerd's configuration for one project: its code, its bindings, and two sockets.

What workerd sends to the service behind each kind of binding was measured against the pinned
version; `api/bindings/` answers it. All of it goes to one unix socket: the header
x-skerry-binding, which workerd sets and no code of the worker can, says which binding it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import ProjectError
from skerry.workers import bindings as kinds
from skerry.workers.build import BUNDLE, Bundle
from skerry.workers.project import Project
from skerry.workers.workerd.capnp import Raw, Value, embed, written

JS = Path(__file__).with_name("js")
CONFIG = "config.capnp"
ENTRY = "skerry-entry.js"
CONTROL_JS = "control.js"
RATE_LIMIT_JS = "ratelimit.js"
BINDING_HEADER = "x-skerry-binding"
PROTO_HEADER = "x-skerry-proto"
"""Carries http or https of a request's URL to the service behind a binding."""

CACHE = ":cache"
"""What the Cache API goes to, where a binding's name would stand."""
OUTBOUND = ":outbound"
"""What a worker's fetch() goes to, likewise."""
ASSETS = ":assets"
"""What public requests are shown to first, where the project has static files, likewise."""
BUSY = ":busy"
"""Answers whether a request of this worker waits at the node."""

MAIN = "main"
CONTROL = "control"
NODE_NAME = "skerry:node"
BUSY_NAME = "skerry:busy"
ASSETS_NAME = "skerry:assets"
"""Bindings of the entry module; it takes them out of `env` before the user's code is loaded."""

HOLD_NAME = "skerry:hold"
"""The entry module's own entrypoint, which the control socket alone can reach."""

EXTRA = "service_binding_extra_handlers"
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,127}")


class Faces(msgspec.Struct, kw_only=True, frozen=True):
    """The sockets of the node that a worker's process may reach."""

    bindings: Path
    api: Path | None = None
    """The node's own API; None: nothing of it is served beside the worker."""


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """What the entry module is told."""

    reserved: Sequence[str] = ()
    """Paths of the node's own API: exact, or ending in * for all below."""
    cf: Mapping[str, Any] | None = None
    """What request.cf says of the node's place."""
    timeout: float = 30.0
    """Seconds after which a request that waits for nothing is given up."""
    test_scheduled: bool = False
    """Answer /__scheduled?cron=… as `wrangler dev --test-scheduled` does."""
    verbose: bool = True
    """Show the exception and its stack on the page of error 1101."""


def write_config(project: Project, bundle: Bundle, faces: Faces, options: Options) -> Path:
    """Write the configuration and the entry module beside the bundle; answers the first's path.

    Raises ProjectError. Blocking.
    """
    (bundle.folder / ENTRY).write_text(entry(bundle, options))
    for name in (CONTROL_JS, RATE_LIMIT_JS):
        shutil.copyfile(JS / name, bundle.folder / name)
    path = bundle.folder / CONFIG
    path.write_text(config(project, bundle, faces))
    return path


def entry(bundle: Bundle, options: Options) -> str:
    """The main module: ours, around the user's."""
    settings = {
        "reserved": pattern(options.reserved, test_scheduled=options.test_scheduled),
        "node": NODE_NAME,
        "busy": BUSY_NAME,
        "assets": ASSETS_NAME,
        "cf": options.cf,
        "timeout": round(options.timeout * 1000),
        "testScheduled": options.test_scheduled,
        "verbose": options.verbose,
    }
    head = f'const SETTINGS = {msgspec.json.encode(settings).decode()};\nconst USER = "{BUNDLE}";\n'
    tail = "".join(
        f"export const {name} = module[{msgspec.json.encode(name).decode()}];\n"
        for name in bundle.exports
        if _NAME.fullmatch(name)
    )
    return head + (JS / "entry.js").read_text() + tail


def pattern(reserved: Sequence[str], *, test_scheduled: bool) -> str:
    """A JavaScript pattern of the URLs that are not the worker's."""
    paths = [*reserved, "/cdn-cgi/handler/scheduled"]
    if test_scheduled:
        paths.append("/__scheduled")
    ends = [
        re.escape(path[:-1]) if path.endswith("*") else f"{re.escape(path)}(?:[?#]|$)"
        for path in paths
    ]
    return f"^[a-z]+://[^/]+(?:{'|'.join(ends)})"


def config(project: Project, bundle: Bundle, faces: Faces) -> str:
    """The configuration in Cap'n Proto's text form. Raises ProjectError."""
    services: list[Value] = []
    bound: list[Value] = []

    def service(key: str) -> str:
        name = f"b:{key}"
        services.append({"name": name, "external": _external(faces.bindings, key)})
        return name

    taken: set[str] = set()
    for binding in project.bindings:
        _check(project, binding.name, taken)
        bound.append({"name": binding.name} | _bind(binding, service(binding.name)))
    values = {**project.vars, **project.secrets}
    for name, value in values.items():
        if name in taken:
            continue
        _check(project, name, taken)
        if isinstance(value, str):
            bound.append({"name": name, "text": value})
        else:
            bound.append({"name": name, "json": msgspec.json.encode(value).decode()})
    bound.append({"name": BUSY_NAME, "service": service(BUSY)})
    if project.assets is not None:
        bound.append({"name": ASSETS_NAME, "service": service(ASSETS)})
    if faces.api is not None:
        services.append({"name": "node", "external": _unix(faces.api, {"style": Raw("host")})})
        bound.append({"name": NODE_NAME, "service": "node"})
    user: dict[str, Value] = {
        "compatibilityDate": project.compatibility_date,
        "compatibilityFlags": list(project.compatibility_flags),
        "modules": _modules(bundle),
        "bindings": bound,
        "globalOutbound": service(OUTBOUND),
        "cacheApiOutbound": service(CACHE),
    }
    control: dict[str, Value] = {
        "compatibilityDate": "2026-11-01",
        "compatibilityFlags": [EXTRA],
        "modules": [{"name": CONTROL_JS, "esModule": embed(CONTROL_JS)}],
        "bindings": [
            {"name": "USER", "service": "user"},
            {"name": "HOLD", "service": {"name": "user", "entrypoint": HOLD_NAME}},
        ],
    }
    services += [{"name": "user", "worker": user}, {"name": CONTROL, "worker": control}]
    extension: Value = {
        "modules": [
            {
                "name": "skerry-internal:ratelimit",
                "internal": True,
                "esModule": embed(RATE_LIMIT_JS),
            }
        ]
    }
    whole: Value = {
        "services": services,
        "sockets": [
            {"name": MAIN, "address": "unix:main", "http": {}, "service": "user"},
            {"name": CONTROL, "address": "unix:control", "http": {}, "service": CONTROL},
        ],
        "extensions": [extension],
        "logging": {"structuredLogging": True},
    }
    return (
        'using Workerd = import "/workerd/workerd.capnp";\n'
        f"const config :Workerd.Config = {written(whole)};\n"
    )


def _check(project: Project, name: str, taken: set[str]) -> None:
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"{project.name}: {name[:100]!r} cannot name a binding; take letters, digits, _ and $,"
            " at most 128"
        )
    if name in taken:
        raise ProjectError(f"{project.name}: two bindings are called {name}")
    taken.add(name)


def _unix(path: Path, http: Mapping[str, Value]) -> Value:
    return {"address": f"unix:{path}", "http": http}


def _external(path: Path, key: str) -> Value:
    return _unix(
        path,
        {
            "style": Raw("host"),
            "forwardedProtoHeader": PROTO_HEADER,
            "injectRequestHeaders": [{"name": BINDING_HEADER, "value": key}],
        },
    )


def _modules(bundle: Bundle) -> list[Value]:
    out: list[Value] = [
        {"name": ENTRY, "esModule": embed(ENTRY)},
        {"name": BUNDLE, "esModule": embed(BUNDLE)},
    ]
    out += [{"name": each.name, each.kind: embed(each.name)} for each in bundle.modules]
    return out


def _wrapped(module: str, service: str, *more: Value) -> dict[str, Value]:
    inner: list[Value] = [{"name": "fetcher", "service": service}, *more]
    return {"wrapped": {"moduleName": module, "innerBindings": inner}}


def _bind(binding: kinds.Binding, service: str) -> dict[str, Value]:
    """The binding's own part of its entry."""
    match binding:
        case kinds.AiBinding():
            return _wrapped("cloudflare-internal:ai-api", service)
        case kinds.KvBinding():
            return {"kvNamespace": service}
        case kinds.D1Binding():
            return _wrapped("cloudflare-internal:d1-api", service)
        case kinds.R2Binding():
            return {"r2Bucket": service}
        case kinds.QueueBinding():
            return {"queue": service}
        case kinds.AnalyticsBinding():
            return {"analyticsEngine": service}
        case kinds.RateLimitBinding():
            return _wrapped(
                "skerry-internal:ratelimit",
                service,
                {"name": "limit", "json": str(binding.limit)},
                {"name": "period", "json": str(binding.period)},
            )
        case kinds.VectorizeBinding():
            return _wrapped(
                "cloudflare-internal:vectorize-api",
                service,
                {"name": "indexId", "text": binding.index_name},
                {"name": "indexVersion", "text": "v2"},
                {"name": "useNdJson", "json": "true"},
            )
        case kinds.ServiceBinding() | kinds.AssetsBinding():
            return {"service": service}
