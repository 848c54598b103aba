"""The secrets beside a configuration: `.dev.vars`, else `.env`, for local runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from skerry.workers.diagnostics import Diagnostic
from skerry.workers.project import Secrets
from skerry.workers.wrangler import variables


def beside(
    folder: Path, env: str | None, found: list[Diagnostic], *, dot_env: bool = True
) -> tuple[Secrets, tuple[Path, ...]]:
    """The secrets in `folder` and the files they came from.

    As wrangler takes them: `.dev.vars.ENV` instead of `.dev.vars`; only where there is neither,
    `.env`, `.env.local`, `.env.ENV` and `.env.ENV.local`, a later one over an earlier.
    """
    names = [f".dev.vars.{env}"] if env is not None else []
    for name in [*names, ".dev.vars"]:
        file = folder / name
        read = variables.read(file)
        if read is not None:
            found += read.diagnostics
            return Secrets(read.values), (file,)
    if not dot_env:
        return Secrets(), ()
    names = [".env", ".env.local"]
    if env is not None:
        names += [f".env.{env}", f".env.{env}.local"]
    values: dict[str, str] = {}
    files = []
    for name in names:
        read = variables.read(folder / name)
        if read is not None:
            found += read.diagnostics
            values |= read.values
            files.append(folder / name)
    return Secrets(variables.expand(values)), tuple(files)


def only(
    secrets: Secrets, required: Collection[str], environ: Mapping[str, str]
) -> tuple[Secrets, list[str]]:
    """The secrets that `secrets.required` names, and the names that have none.

    What no file has may come from the environment, as with wrangler.
    """
    known = {**{name: environ[name] for name in required if name in environ}, **secrets}
    kept = Secrets({name: known[name] for name in required if name in known})
    return kept, [name for name in required if name not in kept]
