"""From a folder or a file to a Project."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from skerry.errors import ProjectError
from skerry.workers.bindings import (
    AiBinding,
    AnalyticsBinding,
    AssetsBinding,
    D1Binding,
    KvBinding,
    QueueBinding,
    R2Binding,
    RateLimitBinding,
    ServiceBinding,
    VectorizeBinding,
)
from skerry.workers.diagnostics import Diagnostic, written
from skerry.workers.project import (
    COMPATIBILITY_DATE,
    MODULE_RULES,
    Assets,
    ModuleRule,
    Project,
    QueueConsumer,
    Route,
    load_project,
)

BASE = {"name": "shop", "main": "src/index.ts", "compatibility_date": "2026-04-01"}


class Folder:
    """A project's folder under a temporary one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("src/index.ts", "export default {}")

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def load(self, changes: dict[str, Any], env: str | None = None) -> Project:
        """The project with BASE and these changes in wrangler.jsonc."""
        self.write("wrangler.jsonc", json.dumps({**BASE, **changes}, indent=1))
        return load_project(self.root, env=env)

    def fault(self, changes: dict[str, Any], env: str | None = None) -> str:
        with pytest.raises(ProjectError) as caught:
            self.load(changes, env)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path.resolve())


def told(project: Project) -> str:
    return written(project.diagnostics, project.root)


def test_a_whole_project(folder: Folder) -> None:
    (folder.root / "public").mkdir()
    project = folder.load(
        {
            "$schema": "x",
            "compatibility_flags": ["nodejs_compat", "nodejs_compat"],
            "vars": {"TEXT": "a", "DEEP": {"list": [1, None, True]}},
            "ai": {"binding": "AI"},
            "assets": {
                "directory": "public",
                "binding": "ASSETS",
                "not_found_handling": "404-page",
                "run_worker_first": ["/api/*", "!/api/docs"],
            },
            "kv_namespaces": [{"binding": "CACHE", "id": "f00"}, {"binding": "MY_KV"}],
            "d1_databases": [
                {"binding": "DB", "database_name": "main", "database_id": "d-1"},
                {"binding": "LOGS", "migrations_dir": "sql", "migrations_table": "done"},
            ],
            "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}, {"binding": "MY_R2"}],
            "queues": {
                "producers": [{"binding": "JOBS", "queue": "jobs", "delivery_delay": 5}],
                "consumers": [
                    {"queue": "jobs", "max_batch_size": 2, "dead_letter_queue": "dead"},
                    {"queue": "dead", "max_concurrency": None, "max_batch_timeout": 0.5},
                ],
            },
            "vectorize": [{"binding": "INDEX", "index_name": "docs"}],
            "analytics_engine_datasets": [{"binding": "A1"}, {"binding": "A2", "dataset": "d"}],
            "ratelimits": [
                {"name": "LIMIT", "namespace_id": "1", "simple": {"limit": 5, "period": 10}}
            ],
            "services": [{"binding": "OTHER", "service": "other", "entrypoint": "Api"}],
            "triggers": {"crons": ["*/5 * * * *"]},
            "routes": ["a.test/*", {"pattern": "b.test", "custom_domain": True}],
            "rules": [{"type": "Text", "globs": ["**/*.md"], "fallthrough": True}],
            "define": {"X": "1"},
            "alias": {"a": "./b"},
            "minify": True,
            "keep_names": False,
            "tsconfig": "tsconfig.build.json",
            "jsx_factory": "h",
            "limits": {"cpu_ms": 50},
        }
    )
    assert told(project) == ""
    assert project.bindings == (
        AiBinding(name="AI"),
        AssetsBinding(name="ASSETS"),
        KvBinding(name="CACHE", id="f00"),
        KvBinding(name="MY_KV", id="shop-my-kv"),
        D1Binding(name="DB", id="d-1", database_name="main"),
        D1Binding(
            name="LOGS",
            id="shop-logs",
            database_name="shop-logs",
            migrations_dir="sql",
            migrations_table="done",
        ),
        R2Binding(name="FILES", bucket="files"),
        R2Binding(name="MY_R2", bucket="shop-my-r2"),
        VectorizeBinding(name="INDEX", index_name="docs"),
        AnalyticsBinding(name="A1", dataset="A1"),
        AnalyticsBinding(name="A2", dataset="d"),
        ServiceBinding(name="OTHER", service="other", entrypoint="Api"),
        RateLimitBinding(name="LIMIT", namespace_id="1", limit=5, period=10),
        QueueBinding(name="JOBS", queue="jobs", delay=5),
    )
    assert msgspec.structs.replace(project, bindings=()) == Project(
        root=folder.root,
        name="shop",
        main=folder.root / "src/index.ts",
        language="javascript",
        compatibility_date="2026-04-01",
        compatibility_flags=("nodejs_compat",),
        vars={"TEXT": "a", "DEEP": {"list": [1, None, True]}},
        consumers=(
            QueueConsumer(queue="jobs", max_batch_size=2, dead_letter_queue="dead"),
            QueueConsumer(queue="dead", max_batch_timeout=0.5),
        ),
        crons=("*/5 * * * *",),
        routes=(Route(pattern="a.test/*"), Route(pattern="b.test", custom_domain=True)),
        assets=Assets(
            directory=folder.root / "public",
            binding="ASSETS",
            not_found_handling="404-page",
            run_worker_first=("/api/*", "!/api/docs"),
        ),
        rules=(ModuleRule(type="Text", globs=("**/*.md",), fallthrough=True), *MODULE_RULES),
        define={"X": "1"},
        alias={"a": "./b"},
        minify=True,
        keep_names=False,
        tsconfig=folder.root / "tsconfig.build.json",
        jsx_factory="h",
        cpu_ms=50,
        files=(folder.root / "wrangler.jsonc",),
    )


TOML = """
name = "shop"
main = "src/worker.py"
compatibility_date = "2026-04-01"
[vars]
A = 1.5
[[kv_namespaces]]
binding = "KV"
[env.live]
vars = { A = 2 }
kv_namespaces = [ { binding = "KV", id = "live" } ]
"""


def test_toml_and_python(folder: Folder) -> None:
    folder.write("src/worker.py", "")
    folder.write("wrangler.toml", TOML)
    project = load_project(folder.root)
    assert (project.language, project.vars) == ("python", {"A": 1.5})
    live = load_project(folder.root / "wrangler.toml", env="live")
    assert live.name == "shop-live"
    assert live.vars == {"A": 2}
    assert live.bindings == (KvBinding(name="KV", id="live"),)
    assert told(project) == told(live) == ""


def test_json_goes_before_jsonc_before_toml_as_with_wrangler(folder: Folder) -> None:
    folder.write("wrangler.toml", TOML.replace("worker.py", "index.ts"))
    folder.write("wrangler.jsonc", json.dumps({**BASE, "name": "second"}))
    assert load_project(folder.root).name == "second"
    folder.write("wrangler.json", json.dumps({**BASE, "name": "first"}))
    project = load_project(folder.root)
    assert project.name == "first"
    assert "wrangler.jsonc and wrangler.toml is not read" in told(project)


@pytest.mark.parametrize(
    ("name", "language"), [("My Bot.ts", "javascript"), ("a.mjs", "javascript"), ("b.py", "python")]
)
def test_a_single_file_has_ai_and_nothing_else(folder: Folder, name: str, language: str) -> None:
    file = folder.write(name, "")
    folder.write(".env", "NOT_READ=1")
    project = load_project(file)
    assert project == Project(
        root=folder.root,
        name=name.rsplit(".", 1)[0].lower().replace(" ", "-"),
        main=file,
        language=language,  # type: ignore[arg-type]
        compatibility_date=COMPATIBILITY_DATE,
        bindings=(AiBinding(name="AI"),),
    )


def test_a_single_file_beside_a_configuration_says_so(folder: Folder) -> None:
    folder.write("wrangler.toml", TOML)
    folder.write(".dev.vars", "TOKEN=t\nAI=x")
    project = load_project(folder.root / "src" / ".." / "src" / "index.ts")
    assert told(project) == ""
    project = load_project(folder.write("alone.js", ""))
    assert project.secrets == {"TOKEN": "t"}
    assert "wrangler.toml beside it is not read" in told(project)
    assert "AI is the binding" in told(project)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing", "no such folder or file"),
        ("src", "no wrangler.json, wrangler.jsonc, wrangler.toml here"),
        ("notes.txt", "not a worker"),
        ("bad\0name", "no such folder or file"),
    ],
)
def test_what_is_no_project(folder: Folder, path: str, words: str) -> None:
    folder.write("notes.txt", "")
    with pytest.raises(ProjectError, match=words):
        load_project(folder.root / path)


def test_a_configuration_that_is_not_text_or_too_large(folder: Folder) -> None:
    (folder.root / "wrangler.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(ProjectError, match="UTF-8"):
        load_project(folder.root)
    (folder.root / "wrangler.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(ProjectError, match="at most"):
        load_project(folder.root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My App"}, "wrangler.jsonc:2:10: 'My App' cannot be a worker's name"),
        ({"name": 5}, "2:10: `name` must be a string that is not empty, not 5"),
        ({"main": "src/none.ts"}, "3:10: `main`: there is no file"),
        ({"main": "wrangler.jsonc"}, "3:10: `main` must be a .ts"),
        ({"main": None}, "3:10: `main` must be a string that is not empty, not null"),
        ({"compatibility_date": "today"}, "4:24: `compatibility_date` must be a date"),
        ({"compatibility_date": "2026-02-30"}, "4:24: `compatibility_date` must be a date"),
        ({"compatibility_flags": ["a", 1]}, "7:3: `compatibility_flags[1]` must be a string"),
        ({"ai": {}}, "5:8: `ai.binding` is missing"),
        ({"ai": []}, "5:8: `ai` must be a table, not a list"),
        ({"ai": {"binding": ""}}, "6:14: `ai.binding` must be a string that is not empty"),
        ({"ai": {"binding": "not-a-name"}}, "5:8: 'not-a-name' cannot be a binding's name"),
        ({"kv_namespaces": {"binding": "A"}}, "5:19: `kv_namespaces` must be a list"),
        ({"kv_namespaces": ["A"]}, '6:3: `kv_namespaces[0]` must be a table, not "A"'),
        (
            {"kv_namespaces": [{"binding": "A"}], "vars": {"A": "x"}},
            "the name A is given twice: `kv_namespaces[0]` has it already",
        ),
        ({"ai": {"binding": "A"}, "kv_namespaces": [{"binding": "A"}]}, "9:3: the name A is given"),
        ({"queues": {"consumers": [{"queue": "q", "max_batch_size": 101}]}}, "from 1 to 100"),
        ({"queues": {"consumers": [{"queue": "q", "type": "http_pull"}]}}, 'one of "worker"'),
        ({"queues": {"consumers": [{"queue": "q"}, {"queue": "q"}]}}, "two consumers"),
        ({"triggers": {"crons": ["* * *"]}}, "7:4: cron"),
        ({"assets": {}}, "`assets.directory` is missing"),
        ({"assets": {"directory": "nowhere"}}, "6:16: `assets.directory`: there is no folder"),
        ({"assets": {"directory": ".", "html_handling": "x"}}, 'one of "auto-trailing-slash"'),
        ({"assets": {"directory": ".", "run_worker_first": 1}}, "must be true or false or a list"),
        ({"assets": {"directory": ".", "run_worker_first": []}}, "from 1 to 100 rules"),
        ({"assets": {"directory": ".", "run_worker_first": ["!/a"]}}, "does not start with !"),
        ({"assets": {"directory": ".", "run_worker_first": ["a"]}}, "a rule starts with /"),
        ({"limits": {"cpu_ms": 0}}, "6:13: `limits.cpu_ms` must be a whole number from 1, not 0"),
        ({"limits": {"cpu_ms": 1.5}}, "must be a whole number"),
        ({"minify": "yes"}, '5:12: `minify` must be true or false, not "yes"'),
        ({"route": "a/*", "routes": ["b/*"]}, "cannot stand together"),
        ({"routes": [{"pattern": "a", "zone_id": "1", "zone_name": "2"}]}, "not both"),
        ({"routes": ["a.test/*", "/x"]}, "7:3: the route '/x' has no host"),
        ({"route": "a.*/x"}, "only at the start"),
        ({"define": {"A": 1}}, "6:8: `define.A` must be a string"),
        ({"site": {"bucket": "x"}}, "5:2: `site` is not supported: Workers Sites; use `assets"),
        ({"pages_build_output_dir": "x"}, "a Pages project"),
        ({"vars": []}, "`vars` must be a table"),
        ({"env": []}, "`env` must be a table of environments"),
        ({"env": {"x": 1}}, "6:8: `env.x` must be a table"),
        (
            {
                "ratelimits": [
                    {"name": "L", "namespace_id": "1", "simple": {"limit": 1, "period": 30}}
                ]
            },
            "must be 10 or 60",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    folder: Folder, changes: dict[str, Any], message: str
) -> None:
    fault = folder.fault(changes)
    assert message in fault
    assert fault.startswith(f"{folder.root}/wrangler.jsonc:")


def test_all_errors_come_in_one_message(folder: Folder) -> None:
    fault = folder.fault({"name": 1, "main": 2, "minify": 3})
    assert [line.split(":")[1] for line in fault.splitlines()] == ["2", "3", "5"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kv_namespace": []}, "5:2: warning: `kv_namespace` is not a known key: did you mean"),
        ({"zzz": 1}, "5:2: warning: `zzz` is not a known key: it has no effect"),
        (
            {"kv_namespaces": [{"binding": "A", "idd": "x"}]},
            "`kv_namespaces[0].idd` is not a known",
        ),
        ({"triggers": {"cron": ["x"]}}, "6:3: warning: `triggers.cron` is not a known key"),
        ({"placement": {"mode": "smart"}}, "5:2: warning: `placement` has no effect here"),
        ({"ai": {"binding": "AI", "remote": True}}, "7:3: warning: `ai.remote` has no effect"),
        ({"send_email": [{"name": "M"}]}, "`send_email` is not supported: the binding will be"),
        ({"durable_objects": {"bindings": []}}, "`durable_objects` is not supported"),
        ({"build": {"command": "make"}}, "`build.command` is not supported: run it yourself"),
        ({"compatibility_date": "2999-01-01"}, "is later than workerd's"),
        ({"compatibility_flags": ["experimental"]}, "`experimental` is left out"),
        ({"kv_namespaces": [{"binding": "A", "id": "<your id>"}]}, "shop-a is taken"),
        ({"r2_buckets": [{"binding": "A", "bucket_name": "../x"}]}, "shop-a is taken"),
        (
            {"unsafe": {"bindings": [{"name": "A", "type": "x"}]}},
            "`unsafe.bindings[0]` is not supp",
        ),
        ({"env": {"other": {"minify": 1, "x": 2}}}, "`env.other.minify` must be true or false"),
        ({"secrets": {"required": ["SURELY_MISSING"]}}, "no value for SURELY_MISSING"),
    ],
)
def test_what_is_odd_is_told_and_does_not_hinder(
    folder: Folder, changes: dict[str, Any], message: str
) -> None:
    project = folder.load(changes)
    assert message in told(project)
    assert all(each.level == "warning" and each.line for each in project.diagnostics)


def test_what_is_as_it_is_here_anyway_needs_no_word(folder: Folder) -> None:
    changes = {
        "ai": {"binding": "AI", "remote": False},
        "logpush": False,
        "upload_source_maps": True,
        "preview_urls": False,
    }
    assert told(folder.load(changes)) == ""


def test_a_rate_limit_among_the_unsafe_bindings(folder: Folder) -> None:
    item = {"name": "L", "type": "ratelimit", "namespace_id": "7"}
    simple = {"limit": 3, "period": 60}
    project = folder.load({"unsafe": {"bindings": [{**item, "simple": simple}]}})
    assert project.bindings == (RateLimitBinding(name="L", namespace_id="7", limit=3, period=60),)
    assert "simple` is missing" in folder.fault({"unsafe": {"bindings": [item]}})


def test_the_version_is_the_entry_module_as_it_stands(folder: Folder) -> None:
    changes = {"version_metadata": {"binding": "VERSION"}, "vars": {"A": "1"}}
    os.utime(folder.root / "src/index.ts", (1767225600.25, 1767225600.25))
    first = folder.load(changes).vars["VERSION"]
    assert (first["tag"], first["timestamp"]) == ("", "2026-01-01T00:00:00.250Z")
    assert folder.load(changes).vars == {"A": "1", "VERSION": first}
    folder.write("src/index.ts", "export default { }")
    assert folder.load(changes).vars["VERSION"]["id"] != first["id"]
    assert "given twice" in folder.fault({**changes, "vars": {"VERSION": "1"}})


def test_names_and_dates_that_are_missing(folder: Folder) -> None:
    folder.write("wrangler.json", '{"main": "src/index.ts"}')
    project = load_project(folder.root)
    assert project.compatibility_date == COMPATIBILITY_DATE
    assert "`name` is missing; the worker is called" in told(project)
    assert "`compatibility_date` is missing" in told(project)
    folder.write("wrangler.json", "{}")
    with pytest.raises(ProjectError, match="`main` is missing"):
        load_project(folder.root)


def test_static_files_alone_need_no_worker(folder: Folder) -> None:
    folder.write("wrangler.json", '{"name": "site", "assets": {"directory": "src"}}')
    project = load_project(folder.root)
    assert project.main is None
    folder.write("wrangler.json", '{"assets": {"directory": "src", "run_worker_first": true}}')
    with pytest.raises(ProjectError, match="needs a worker"):
        load_project(folder.root)


def test_toml_dates_and_numbers_that_are_no_json(folder: Folder) -> None:
    folder.write("wrangler.toml", 'main = "src/index.ts"\n[vars]\nA = 2026-01-01\nB = [inf]\n')
    with pytest.raises(ProjectError) as caught:
        load_project(folder.root)
    assert "wrangler.toml:3:5: `vars.A` is a date: write it as a string" in str(caught.value)
    assert "wrangler.toml:4:6: `vars.B[0]` must be a finite number" in str(caught.value)


class TestEnvironments:
    TOP: ClassVar[dict[str, Any]] = {
        "vars": {"A": "top", "B": "top"},
        "kv_namespaces": [{"binding": "KV"}],
        "define": {"X": "1"},
        "triggers": {"crons": ["0 0 * * *"]},
        "alias": {"a": "b"},
        "minify": True,
    }

    def test_what_is_taken_over_and_what_is_not(self, folder: Folder) -> None:
        project = folder.load({**self.TOP, "env": {"e": {"vars": {"A": "own"}}}}, "e")
        assert project.name == "shop-e"
        assert project.environment == "e"
        assert project.vars == {"A": "own"}
        assert project.bindings == ()
        assert project.define == {}
        assert project.crons == ("0 0 * * *",)
        assert project.alias == {"a": "b"}
        assert project.minify
        text = told(project)
        assert "`kv_namespaces` is not taken over by an environment" in text
        assert "`define` is not taken over" in text
        assert "`env.e.vars` has no B" in text
        assert "triggers" not in text

    def test_its_own_values(self, folder: Folder) -> None:
        own = {"name": "own", "minify": False, "triggers": {"crons": []}, "routes": ["a/*"]}
        project = folder.load({"minify": True, "route": "b/*", "env": {"e": own}}, "e")
        assert (project.name, project.minify, project.crons) == ("own", False, ())
        assert project.routes == (Route(pattern="a/*"),)

    def test_a_fault_in_the_chosen_one_is_an_error(self, folder: Folder) -> None:
        changes = {"env": {"e": {"minify": 1}}}
        assert "`env.e.minify` must be true" in folder.fault(changes, "e")

    def test_one_that_is_not_there(self, folder: Folder) -> None:
        changes: dict[str, Any] = {"env": {"a": {}, "b": {}}}
        assert "there is no environment 'c'; there is: a, b" in folder.fault(changes, "c")
        project = folder.load(self.TOP, "c")
        assert project.name == "shop-c"
        assert project.vars == self.TOP["vars"]
        assert "there is no environment 'c'; the top level's values are taken" in told(project)

    def test_a_key_of_the_top_level_only(self, folder: Folder) -> None:
        project = folder.load({"env": {"e": {"alias": {}}}}, "e")
        assert "`env.e.alias` is not a known key" in told(project)

    def test_a_single_file_has_none(self, folder: Folder) -> None:
        with pytest.raises(ProjectError, match="has no environments"):
            load_project(folder.root / "src/index.ts", env="e")


class TestSecrets:
    def test_dev_vars_go_before_env_and_an_environment_s_before_both(self, folder: Folder) -> None:
        folder.write(".env", "A=1\nB=${A}2\n")
        folder.write(".env.local", "C=local")
        folder.write(".env.live", "A=live")
        project = folder.load({})
        assert project.secrets == {"A": "1", "B": "12", "C": "local"}
        assert [file.name for file in project.files] == ["wrangler.jsonc", ".env", ".env.local"]
        live = folder.load({"env": {"live": {}}}, "live")
        assert live.secrets == {"A": "live", "B": "live2", "C": "local"}
        folder.write(".dev.vars", "D=${A}")
        assert folder.load({}).secrets == {"D": "${A}"}
        folder.write(".dev.vars.live", "E=5")
        assert folder.load({"env": {"live": {}}}, "live").secrets == {"E": "5"}

    def test_they_do_not_show(self, folder: Folder) -> None:
        folder.write(".dev.vars", "TOKEN=hunter2")
        project = folder.load({})
        assert project.secrets["TOKEN"] == "hunter2"
        assert "hunter2" not in repr(project) + str(project.secrets)
        assert "TOKEN" in repr(project)

    def test_only_the_required_ones(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FROM_OUTSIDE", "o")
        monkeypatch.setenv("NOT_NAMED", "n")
        folder.write(".dev.vars", "A=1\nB=2")
        project = folder.load({"secrets": {"required": ["A", "FROM_OUTSIDE"]}})
        assert project.secrets == {"A": "1", "FROM_OUTSIDE": "o"}
        assert told(project) == ""

    def test_one_with_a_binding_s_name(self, folder: Folder) -> None:
        folder.write(".dev.vars", "AI=1")
        project = folder.load({"ai": {"binding": "AI"}})
        assert project.secrets == {}
        assert "AI is a binding" in told(project)

    def test_lines_that_are_none(self, folder: Folder) -> None:
        folder.write(".dev.vars", "A=1\nnonsense\n")
        assert ".dev.vars:2:1: warning: this line is left out" in told(folder.load({}))


def test_how_diagnostics_are_written() -> None:
    file = Path("/p/wrangler.toml")
    diagnostics = [
        Diagnostic("warning", "odd", file, 1, 2),
        Diagnostic("error", "wrong", file, 9, 1),
        Diagnostic("warning", "whole", Path("/q/x")),
    ]
    assert written(diagnostics, Path("/p")).splitlines() == [
        "wrangler.toml:9:1: error: wrong",
        "wrangler.toml:1:2: warning: odd",
        "/q/x: warning: whole",
    ]
    assert str(diagnostics[0]) == "/p/wrangler.toml:1:2: warning: odd"
