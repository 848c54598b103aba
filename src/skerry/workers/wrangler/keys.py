"""Every key of a wrangler configuration, and what becomes of it here.

Names, shapes and scopes: wrangler's configuration schema, 4.86, and what that version still
knows of older ones.
"""

from __future__ import annotations

from skerry.workers.wrangler.keys_bindings import BINDINGS
from skerry.workers.wrangler.schema import (
    Anything,
    Either,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    Table,
    Text,
    idle,
    needed,
    refused,
)

TEXTS = ListOf(Text())
DEPLOYING = "it is for deploying to Cloudflare"
BUNDLING = "code is always bundled into one module"

ROUTE = Either(
    (
        Text(),
        Table(
            (
                needed("pattern"),
                Key("custom_domain", Flag()),
                Key("zone_name", Text()),
                Key("zone_id", Text()),
                idle("enabled", Flag(), DEPLOYING, quiet=True),
                idle("previews_enabled", Flag(), DEPLOYING, quiet=False),
            )
        ),
    )
)

ASSETS = Table(
    (
        Key("directory", Text(empty=False)),
        Key("binding", Text(empty=False)),
        Key(
            "html_handling",
            Text(("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")),
        ),
        Key("not_found_handling", Text(("single-page-application", "404-page", "none"))),
        Key("run_worker_first", Either((Flag(), TEXTS))),
    )
)

RULE = Table(
    (
        needed(
            "type",
            Text(
                (
                    "ESModule",
                    "CommonJS",
                    "CompiledWasm",
                    "Text",
                    "Data",
                    "PythonModule",
                    "PythonRequirement",
                )
            ),
        ),
        needed("globs", TEXTS),
        Key("fallthrough", Flag()),
    )
)

BUILD = Table(
    (
        refused("command", "run it yourself before the worker is started", Text()),
        idle("cwd", Text(), "`build.command` is not run"),
        idle("watch_dir", Either((Text(), TEXTS)), "the whole project is watched"),
    )
)

PLACEMENT = Table(
    (
        Key("mode", Text(("off", "smart", "targeted"))),
        Key("hint", Text()),
        Key("region", Text()),
        Key("host", Text()),
        Key("hostname", Text()),
    )
)

_SAMPLED = (
    Key("enabled", Flag()),
    Key("head_sampling_rate", Number(0, 1, whole=False)),
    Key("persist", Flag()),
    Key("destinations", TEXTS),
)
OBSERVABILITY = Table(
    (
        Key("enabled", Flag()),
        Key("head_sampling_rate", Number(0, 1, whole=False)),
        Key("logs", Table((*_SAMPLED, Key("invocation_logs", Flag())))),
        Key("traces", Table(_SAMPLED)),
    )
)

DEV = Table(
    (
        Key("ip", Text()),
        Key("port", Number(0, 65535)),
        Key("inspector_port", Number(0, 65535)),
        Key("inspector_ip", Text()),
        Key("local_protocol", Text(("http", "https"))),
        Key("upstream_protocol", Text(("http", "https"))),
        Key("host", Text()),
        Key("enable_containers", Flag()),
        Key("container_engine", Anything()),
        Key("generate_types", Flag()),
    )
)

LIMITS = Table(
    (
        Key("cpu_ms", Number(1)),
        idle("subrequests", Number(1), "there is no limit on subrequests"),
    )
)

MODULES = (
    idle("find_additional_modules", Flag(), BUNDLING, quiet=False),
    idle("preserve_file_names", Flag(), BUNDLING, quiet=False),
    idle("base_dir", Text(), BUNDLING),
    idle("no_bundle", Flag(), BUNDLING, quiet=False),
)

INHERITED = (
    Key("name", Text(empty=False)),
    Key("main", Text(empty=False)),
    Key("compatibility_date", Text(empty=False)),
    Key("compatibility_flags", TEXTS),
    Key("routes", ListOf(ROUTE)),
    Key("route", ROUTE),
    Key("triggers", Table((Key("crons", TEXTS),))),
    Key("assets", ASSETS),
    Key("rules", ListOf(RULE)),
    Key("minify", Flag()),
    Key("keep_names", Flag()),
    Key("tsconfig", Text(empty=False)),
    Key("jsx_factory", Text()),
    Key("jsx_fragment", Text()),
    Key("limits", LIMITS),
    *MODULES,
    Key("build", BUILD),
    idle("placement", PLACEMENT, "the worker runs where it was deployed"),
    idle("observability", OBSERVABILITY, "logs are always kept; see `skerry tail`"),
    idle("logpush", Flag(), "see `skerry tail`", quiet=False),
    idle("upload_source_maps", Flag(), "stack traces are always mapped", quiet=True),
    idle("account_id", Text(), "the account is the node's"),
    idle("workers_dev", Flag(), "there is no workers.dev here"),
    idle("preview_urls", Flag(), DEPLOYING, quiet=False),
    idle("previews", Anything(), DEPLOYING),
    idle(
        "cache", Table((needed("enabled", Flag()),)), "use the Cache API", quiet={"enabled": False}
    ),
    idle("migrations", Anything(), "they are of Durable Objects, which are not supported"),
    idle("compliance_region", Text(("public", "fedramp_high")), DEPLOYING),
    idle("python_modules", Table((needed("exclude", TEXTS),)), "nothing is uploaded"),
    idle("first_party_worker", Flag(), "it is for Cloudflare's own staff", quiet=False),
    idle("logfwdr", Anything(), "it is for Cloudflare's own staff"),
)

OWN = (
    Key("vars", MapOf(Anything()), scope="own"),
    Key("secrets", Table((Key("required", TEXTS),)), scope="own"),
    Key("define", MapOf(Text()), scope="own"),
)

TOP = (
    Key("$schema", Text(), scope="top"),
    Key("alias", MapOf(Text()), scope="top"),
    idle("dev", DEV, "use the options of `skerry dev`", scope="top"),
    idle("keep_vars", Flag(), DEPLOYING, scope="top", quiet=False),
    idle("send_metrics", Flag(), "nothing is sent to anyone", scope="top", quiet=False),
    idle("legacy_env", Flag(), "each environment is a worker of its own", scope="top", quiet=True),
    refused(
        "pages_build_output_dir",
        "a Pages project; make it a worker with `main` and `assets.directory`",
        Text(),
        fatal=True,
        scope="top",
    ),
    refused("site", "Workers Sites; use `assets.directory`", fatal=True, scope="top"),
    refused("wasm_modules", "import the .wasm file in the code", fatal=True, scope="top"),
    refused("text_blobs", "import the file in the code, with a rule of type Text", scope="top"),
    refused("data_blobs", "import the file in the code, with a rule of type Data", scope="top"),
)

OLD = (
    refused("type", "webpack workers ended with wrangler 2; leave it out", scope="top"),
    refused("webpack_config", "webpack workers ended with wrangler 2; use `main`", scope="top"),
    refused("zone_id", "name the zone in `routes`", scope="inherited"),
    refused("zone_name", "name the zone in `routes`", scope="inherited"),
    refused("kv-namespaces", "it is called `kv_namespaces`", scope="top"),
    refused("experimental_services", "it is called `services`", scope="own"),
    refused("node_compat", 'use compatibility_flags = ["nodejs_compat"]', scope="inherited"),
    idle("usage_model", Text(), "the node has its own limits"),
    idle("topLevelName", Text(), "a build tool wrote it", scope="top"),
    idle("targetEnvironment", Text(), "a build tool wrote it", scope="top"),
    idle("definedEnvironments", TEXTS, "a build tool wrote it", scope="top"),
    idle("configPath", Text(), "a build tool wrote it", scope="top"),
    idle("userConfigPath", Text(), "a build tool wrote it", scope="top"),
)

ENVIRONMENT = Table((*INHERITED, *OWN, *BINDINGS, *(key for key in OLD if key.scope != "top")))
"""What an `env.NAME` may have."""

PROJECT = Table(
    (*INHERITED, *OWN, *BINDINGS, *TOP, *OLD, Key("env", MapOf(ENVIRONMENT), scope="top"))
)
"""What a configuration may have."""
