"""A Project out of the values of a chosen environment; what cannot be is told with its place."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from skerry.errors import ProjectError
from skerry.workers.cron import CronExpression, InvalidCron
from skerry.workers.diagnostics import Diagnostic, Level
from skerry.workers.project import (
    COMPATIBILITY_DATE,
    MODULE_RULES,
    Assets,
    Language,
    ModuleRule,
    Project,
    Route,
    Secrets,
)
from skerry.workers.routes import Pattern
from skerry.workers.wrangler.bound import Bound
from skerry.workers.wrangler.document import Document, Keys
from skerry.workers.wrangler.environment import Chosen
from skerry.workers.wrangler.secrets import beside, only

_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")


def make(chosen: Chosen, found: list[Diagnostic], languages: Mapping[str, Language]) -> Project:
    """The project; what there is to say is added to `found`. One with errors is not to be used."""
    return _Maker(chosen, found, languages).project()


class _Maker:
    def __init__(
        self, chosen: Chosen, found: list[Diagnostic], languages: Mapping[str, Language]
    ) -> None:
        self.chosen = chosen
        self.found = found
        self.languages = languages
        self.document: Document = chosen.document
        self.root = self.document.file.parent

    def say(self, level: Level, message: str, way: Keys | None) -> None:
        self.found.append(self.document.say(level, message, way or ()))

    def project(self) -> Project:
        get = self.chosen.get
        name = self.name()
        main, language = self.main()
        assets = self.assets(main)
        bound = Bound(self.chosen, name)
        bindings = bound.bindings()
        consumers = bound.consumers()
        self.found += bound.diagnostics
        secrets, files = self.secrets({binding.name for binding in bindings})
        cpu_ms = get("limits", {}).get("cpu_ms")
        return Project(
            root=self.root,
            name=name,
            main=main,
            language=language,
            compatibility_date=self.compatibility_date(),
            compatibility_flags=self.flags(),
            vars=get("vars", {}) | self.version(main),
            secrets=secrets,
            bindings=bindings,
            consumers=consumers,
            crons=self.crons(),
            routes=self.routes(),
            assets=assets,
            rules=self.rules(),
            define=get("define", {}),
            alias=get("alias", {}),
            minify=get("minify", False),
            keep_names=get("keep_names", True),
            tsconfig=self.path("tsconfig"),
            jsx_factory=get("jsx_factory", "React.createElement"),
            jsx_fragment=get("jsx_fragment", "React.Fragment"),
            cpu_ms=None if cpu_ms is None else int(cpu_ms),
            environment=self.chosen.env,
            files=(self.document.file, *files),
            diagnostics=tuple(self.found),
        )

    def name(self) -> str:
        name = self.chosen.name()
        if name is None:
            name = re.sub("[^a-z0-9_-]+", "-", self.root.name.lower()).strip("-")[:63] or "worker"
            self.say("warning", f"`name` is missing; the worker is called {name}", None)
        elif not _NAME.fullmatch(name):
            message = (
                f"{name!r} cannot be a worker's name: small letters, digits, _ and -, at most 63"
            )
            self.say("error", message, self.chosen.way("name") or ("name",))
        return name

    def main(self) -> tuple[Path | None, Language]:
        way = self.chosen.way("main")
        if way is None:
            if self.chosen.way("assets") is None:
                self.say("error", "`main` is missing: name the entry module", None)
            return None, "javascript"
        main = self.path("main")
        assert main is not None  # `way` says that it is there
        language = self.languages.get(main.suffix)
        if not main.is_file():
            self.say("error", f"`main`: there is no file {main}", way)
        elif language is None:
            known = ", ".join(self.languages)
            self.say("error", f"`main` must be a {known} file, not {main.name}", way)
        return main, language or "javascript"

    def version(self, main: Path | None) -> dict[str, Any]:
        """`version_metadata`: a version is the entry module as it stands, its time when it was
        saved."""
        binding = self.chosen.get("version_metadata", {}).get("binding")
        if binding is None or main is None or not main.is_file():
            return {}
        digest = hashlib.sha256(main.read_bytes()).digest()
        saved = datetime.fromtimestamp(main.stat().st_mtime, UTC)
        return {
            binding: {
                "id": str(uuid.UUID(bytes=digest[:16], version=4)),
                "tag": "",
                "timestamp": saved.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        }

    def path(self, name: str) -> Path | None:
        """The absolute path that a key names."""
        value = self.chosen.get(name)
        return None if value is None else (self.root / value).resolve()

    def assets(self, main: Path | None) -> Assets | None:
        value = self.chosen.get("assets")
        if value is None:
            return None
        way = self.chosen.way("assets") or ()
        if "directory" not in value:
            self.say("error", "`assets.directory` is missing: name the folder of static files", way)
            return None
        directory = (self.root / value["directory"]).resolve()
        if not directory.is_dir():
            self.say(
                "error", f"`assets.directory`: there is no folder {directory}", (*way, "directory")
            )
        first = value.get("run_worker_first", False)
        if main is None and first:
            message = "`assets.run_worker_first` needs a worker: name it with `main`"
            self.say("error", message, (*way, "run_worker_first"))
        if main is None and "binding" in value:
            message = "`assets.binding` needs a worker: name it with `main`"
            self.say("error", message, (*way, "binding"))
        if isinstance(first, list):
            self.first_rules(first, (*way, "run_worker_first"))
        return Assets(
            directory=directory,
            binding=value.get("binding"),
            html_handling=value.get("html_handling", "auto-trailing-slash"),
            not_found_handling=value.get("not_found_handling", "none"),
            run_worker_first=tuple(first) if isinstance(first, list) else first,
        )

    def first_rules(self, rules: list[str], way: Keys) -> None:
        """`run_worker_first` as a list: at most 100 rules, one of them without a !."""
        if not rules or len(rules) > 100:
            self.say("error", "`run_worker_first` takes from 1 to 100 rules", way)
        elif all(rule.startswith("!") for rule in rules):
            self.say("error", "`run_worker_first` needs a rule that does not start with !", way)
        for number, rule in enumerate(rules):
            if not rule.startswith(("/", "!/")) or len(rule) > 100:
                message = (
                    f"{rule[:60]!r}: a rule starts with / or !/ and has at most 100 characters"
                )
                self.say("error", message, (*way, number))

    def compatibility_date(self) -> str:
        value = self.chosen.get("compatibility_date")
        way = self.chosen.way("compatibility_date")
        if value is None:
            message = f"`compatibility_date` is missing; {COMPATIBILITY_DATE} is taken"
            self.say("warning", message, None)
            return COMPATIBILITY_DATE
        try:
            if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                raise ValueError(value)
            date.fromisoformat(value)
        except ValueError:
            message = f"`compatibility_date` must be a date as in 2026-01-31, not {value[:40]!r}"
            self.say("error", message, way)
            return COMPATIBILITY_DATE
        if value > COMPATIBILITY_DATE:
            message = f"`compatibility_date` is later than workerd's; {COMPATIBILITY_DATE} is taken"
            self.say("warning", message, way)
            return COMPATIBILITY_DATE
        return str(value)

    def flags(self) -> tuple[str, ...]:
        out = []
        way = self.chosen.way("compatibility_flags") or ()
        for number, flag in enumerate(self.chosen.get("compatibility_flags", [])):
            if flag == "experimental":
                message = (
                    "the flag `experimental` is left out: bindings answer differently under it"
                )
                self.say("warning", message, (*way, number))
            elif flag not in out:
                out.append(flag)
        return tuple(out)

    def secrets(self, bound: set[str]) -> tuple[Secrets, tuple[Path, ...]]:
        secrets, files = beside(self.root, self.chosen.env, self.found)
        required = self.chosen.get("secrets", {}).get("required")
        if required is not None:
            secrets, missing = only(secrets, required, os.environ)
            if missing:
                way = (*(self.chosen.way("secrets") or ()), "required")
                names = ", ".join(missing)
                self.say("warning", f"no value for {names}: add it to .dev.vars", way)
        for name in sorted(bound & secrets.keys()):
            del secrets[name]
            message = f"{name} is a binding, the secret of that name is left out"
            self.found.append(Diagnostic("warning", message, files[-1]))
        return secrets, files

    def crons(self) -> tuple[str, ...]:
        way = (*(self.chosen.way("triggers") or ()), "crons")
        crons = self.chosen.get("triggers", {}).get("crons", [])
        for number, cron in enumerate(crons):
            try:
                CronExpression(cron)
            except InvalidCron as error:
                self.say("error", str(error), (*way, number))
        return tuple(crons)

    def routes(self) -> tuple[Route, ...]:
        one, many = self.chosen.way("route"), self.chosen.way("routes")
        if one is not None and many is not None and len(one) == len(many):
            self.say("error", "`route` and `routes` cannot stand together: use `routes`", one)
        routes: list[Any] = list(self.chosen.get("routes", []))
        if many is None and one is not None:
            routes = [self.chosen.get("route")]
        out = []
        for number, route in enumerate(routes):
            way: Keys = (*many, number) if many is not None else one or ()
            if isinstance(route, str):
                route = {"pattern": route}
            fields = {name: route[name] for name in Route.__struct_fields__ if name in route}
            made = Route(**fields)
            if made.zone_id is not None and made.zone_name is not None:
                self.say("error", "a route has `zone_id` or `zone_name`, not both", way)
            if not made.pattern:
                continue  # wrangler, too, takes an empty one for none
            try:
                Pattern.read(made)
            except ProjectError as error:
                self.say("error", str(error), way)
            out.append(made)
        return tuple(out)

    def rules(self) -> tuple[ModuleRule, ...]:
        """The project's, then wrangler's; after one without fallthrough no more of its type."""
        own = [
            ModuleRule(
                type=rule["type"],
                globs=tuple(rule["globs"]),
                fallthrough=rule.get("fallthrough", False),
            )
            for rule in self.chosen.get("rules", [])
        ]
        out: list[ModuleRule] = []
        ended: set[str] = set()
        for rule in (*own, *MODULE_RULES):
            if rule.type not in ended:
                out.append(rule)
                if not rule.fallthrough:
                    ended.add(rule.type)
        return tuple(out)
