"""One typed Settings: defaults, then `skerry.toml`, then SKERRY_*, then the caller's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import SettingsError


def _data_dir() -> Path:
    root = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(root) / "skerry"


def _models_dir() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "skerry" / "models"


class Settings(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Every setting of a node. Each is documented in docs/settings.md (a test checks it)."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8787
    """Port for the API, the console and the workers; 0 picks a free one."""
    data_dir: Path = msgspec.field(default_factory=_data_dir)
    """Everything a node keeps, but the models."""
    models: Path = msgspec.field(default_factory=_models_dir)
    """The model store, shared by all nodes of this user."""
    catalog: list[Path] = []
    """More folders of catalog TOML files; a name found later replaces an earlier one."""
    offline: bool = False
    """Close the network: models come from the store and from file: mirrors only."""
    pull: bool = True
    """Pull a catalog model when it is first asked for."""
    standins: bool = False
    """Let small packaged models answer for published names that are not in the store."""
    tune: bool = True
    """Measure engines and precisions at pull; off: the catalog's first choice."""
    preload: list[str] = []
    """Models to load at start and keep."""
    pin: list[str] = []
    """Models never to evict."""
    memory: int = 0
    """Bytes that resident models may hold together; 0: 60 % of the machine's memory."""
    keep_warm: float = 600.0
    """Seconds that an idle model stays resident."""
    queue: int = 256
    """Requests that may wait or run for one model; past it: 3040."""
    timeout: float = 300.0
    """Seconds that a request may take, loading included."""
    pull_wait: float = 120.0
    """Seconds that a request waits for a model that is being pulled."""
    max_body: int = 32 << 20
    """Bytes of the largest request body; tasks set lower bounds of their own."""
    threads: int = 0
    """CPU threads of a runner; 0: all."""
    origins: list[str] = []
    """Web origins (shell patterns) whose pages may call the node; loopback ones always may."""
    hub: str = "https://huggingface.co"
    """Base URL of the hub that hf: mirrors name."""
    accept_licences: list[str] = []
    """Models whose licence you accept, by name; "*" for all."""
    allow_models: list[str] = []
    """Only these models may run (shell patterns); empty: all."""
    deny_models: list[str] = []
    """These models may not run (shell patterns)."""
    block_accounts: list[str] = []
    """Accounts that get 3023."""
    account_models: dict[str, list[str]] = {}
    """Account -> models it may run (shell patterns); an account not named may run all."""
    daily_neurons: float = 0.0
    """Neurons each account may use per UTC day; 0: no bound."""
    tools: Path | None = None
    """Where workerd and esbuild are kept once fetched; not set: `tools` under `data_dir`."""
    outbound: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Hosts (shell patterns) that a worker's fetch may reach. `*` stands for every public host;
    loopback and private addresses must be named, `127.0.0.1:9000` say."""
    worker_cpu: float = 5.0
    """Seconds that a worker may compute without a pause before it is ended with error 1102;
    `limits.cpu_ms` of a project goes before it."""
    worker_memory: int = 128 << 20
    """Bytes that a worker may keep before it is ended with error 1102; 256 MB that its process
    may take for the runtime's own garbage and buffers come on top."""
    worker_timeout: float = 30.0
    """Seconds after which a worker that does not answer, and waits for nothing, is given up."""
    sandbox: bool = True
    """Run each worker in namespaces of its own (bubblewrap), where the system allows it."""
    cache_size: int = 1 << 30
    """Bytes that workers of one account may keep with the Cache API; the least used go first."""
    place: dict[str, str] = {}
    """Where this node is, for `request.cf`: colo, country, city, latitude …; JSON in the
    environment."""
    log_level: str = "info"
    """debug, info, warning or error."""


PREFIX = "SKERRY_"
_ELSEWHERE = {"SKERRY_CONFIG", "SKERRY_URL", "SKERRY_TOKEN", "SKERRY_DEBUG"}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    out: dict[str, Any] = {}
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key in _ELSEWHERE:
            continue
        name = key[len(PREFIX) :].lower()
        if name not in known:
            raise SettingsError(f"{key}: no such setting; see docs/settings.md")
        kind = str(known[name])
        if kind.startswith(("list", "dict")) and text[:1] not in "[{":
            out[name] = [part.strip() for part in text.split(",") if part.strip()]
        elif kind.startswith(("list", "dict")):
            try:
                out[name] = msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                raise SettingsError(f"{key}: not JSON: {error}") from error
        elif known[name] is bool:
            lowered = text.strip().lower()
            if lowered not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
                raise SettingsError(f"{key}: {text!r} is not true or false")
            out[name] = lowered in {"1", "true", "yes", "on"}
        else:
            out[name] = text
    return out


def load(
    path: Path | None = None, environ: Mapping[str, str] | None = None, **changes: Any
) -> Settings:
    """Settings from `path` (or $SKERRY_CONFIG, or ./skerry.toml), the environment and `changes`.

    A change that is None is not one. Raises SettingsError naming the setting.
    """
    environ = os.environ if environ is None else environ
    chosen = path or (Path(environ["SKERRY_CONFIG"]) if environ.get("SKERRY_CONFIG") else None)
    where = str(chosen or "skerry.toml")
    values: dict[str, Any] = {}
    file = chosen or Path("skerry.toml")
    if chosen is not None or file.is_file():
        try:
            values = msgspec.toml.decode(file.read_bytes())
        except FileNotFoundError as error:
            raise SettingsError(f"{where}: no such file") from error
        except (msgspec.DecodeError, OSError) as error:
            raise SettingsError(f"{where}: {error}") from error
    values |= _from_environment(environ)
    values |= {name: value for name, value in changes.items() if value is not None}
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {error}") from error


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value).expanduser()
    raise NotImplementedError(f"no setting has the type {kind}")
