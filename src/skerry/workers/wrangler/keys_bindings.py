"""The keys that bind a worker to something. None is taken over by an environment.

Names and shapes: wrangler's configuration schema, 4.86.
"""

from __future__ import annotations

from skerry.workers.wrangler.schema import (
    Anything,
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

BINDING = needed("binding")
REMOTE = idle("remote", Flag(), "what a binding leads to is always on this node", quiet=False)
FREE_ID = Text(empty=False)

AI = Table((BINDING, idle("staging", Flag(), "there is no staging here", quiet=False), REMOTE))

KV = Table(
    (
        BINDING,
        Key("id", FREE_ID),
        idle("preview_id", FREE_ID, "`id` is used; give the environment an id of its own"),
        REMOTE,
    )
)

D1 = Table(
    (
        BINDING,
        Key("database_id", FREE_ID),
        Key("database_name", Text()),
        Key("migrations_dir", Text(empty=False)),
        Key("migrations_table", Text(empty=False)),
        idle("preview_database_id", Text(), "`database_id` is used"),
        idle("database_internal_env", Text(), "it is for Cloudflare's own staff"),
        REMOTE,
    )
)

R2 = Table(
    (
        BINDING,
        Key("bucket_name", FREE_ID),
        idle("preview_bucket_name", Text(), "`bucket_name` is used"),
        idle("jurisdiction", Text(), "objects stay on this node"),
        REMOTE,
    )
)

DELAY = Number(0, 86400)
"""Seconds; a day is the longest delay that Queues take."""

QUEUES = Table(
    (
        Key(
            "producers",
            ListOf(Table((BINDING, needed("queue"), Key("delivery_delay", DELAY), REMOTE))),
        ),
        Key(
            "consumers",
            ListOf(
                Table(
                    (
                        needed("queue"),
                        Key("type", Text(("worker",))),
                        Key("max_batch_size", Number(1, 100)),
                        Key("max_batch_timeout", Number(0, 60, whole=False)),
                        Key("max_retries", Number(0, 100)),
                        Key("dead_letter_queue", Text(empty=False)),
                        Key("max_concurrency", Number(1, 250, null=True)),
                        Key("retry_delay", DELAY),
                        idle("visibility_timeout_ms", Number(0), "it is for pull consumers only"),
                    )
                )
            ),
        ),
    )
)

LIMIT = Table(
    (needed("limit", Number(1)), needed("period", Number(1)))
)  # the period's two values are checked with the binding: the message can say more

RATE_LIMIT = Table(
    (needed("name"), needed("namespace_id"), needed("simple", LIMIT)),
)

SERVICE = Table(
    (
        BINDING,
        needed("service"),
        Key("entrypoint", Text(empty=False)),
        refused("props", "`ctx.props` will be empty", MapOf(Anything())),
        refused("environment", "name the worker as it is deployed: SERVICE-ENVIRONMENT", Text()),
        REMOTE,
    )
)

UNSAFE = Table(
    (
        Key("bindings", ListOf(Anything())),
        refused("metadata", "leave it out", MapOf(Anything())),
        refused("capnp", "leave it out", MapOf(Anything())),
    )
)

_NONE = "the binding will be missing in `env`"

BINDINGS = (
    Key("ai", AI, scope="own"),
    Key("kv_namespaces", ListOf(KV), scope="own"),
    Key("d1_databases", ListOf(D1), scope="own"),
    Key("r2_buckets", ListOf(R2), scope="own"),
    Key("queues", QUEUES, scope="own"),
    Key("vectorize", ListOf(Table((BINDING, needed("index_name"), REMOTE))), scope="own"),
    Key(
        "analytics_engine_datasets",
        ListOf(Table((BINDING, Key("dataset", Text(empty=False))))),
        scope="own",
    ),
    Key("ratelimits", ListOf(RATE_LIMIT), scope="own"),
    Key("services", ListOf(SERVICE), scope="own"),
    Key("version_metadata", Table((BINDING,)), scope="own"),
    Key("unsafe", UNSAFE, scope="own"),
    refused(
        "durable_objects",
        f"{_NONE}; keep state in D1 or KV",
    ),
    refused("workflows", f"{_NONE}; use a queue with retries, or a cron"),
    refused("containers", "run the container beside the node and call it with fetch"),
    refused("cloudchamber", "run the container beside the node and call it with fetch"),
    refused("send_email", f"{_NONE}; call a mail service with fetch"),
    refused("hyperdrive", f"{_NONE}; put the database's URL in .dev.vars and connect to it"),
    refused("ai_search", f"{_NONE}; use `ai` with `vectorize`"),
    refused("ai_search_namespaces", f"{_NONE}; use `ai` with `vectorize`"),
    refused("browser", f"{_NONE}; call a browser service with fetch"),
    refused("images", f"{_NONE}; transform images with a library of your own"),
    refused("media", f"{_NONE}; transform media with a library of your own"),
    refused("stream", f"{_NONE}; keep videos in R2"),
    refused("mtls_certificates", f"{_NONE}; put a proxy that has the certificate in between"),
    refused("dispatch_namespaces", f"{_NONE}; bind the workers one by one with `services`"),
    refused("pipelines", f"{_NONE}; use `queues` and `r2_buckets`"),
    refused("secrets_store_secrets", f"{_NONE}; put the secret in .dev.vars"),
    refused("artifacts", f"{_NONE}; use `r2_buckets`"),
    refused("unsafe_hello_world", f"{_NONE}; leave it out"),
    refused("flagship", f"{_NONE}; keep flags in KV"),
    refused("worker_loaders", f"{_NONE}; deploy the worker and bind it with `services`"),
    refused("vpc_services", f"{_NONE}; call the service with fetch"),
    refused("vpc_networks", f"{_NONE}; call the service with fetch"),
    Key("tail_consumers", Anything(), "no effect", "read the logs with `skerry tail`", scope="own"),
    Key(
        "streaming_tail_consumers",
        Anything(),
        "no effect",
        "read the logs with `skerry tail`",
        scope="own",
    ),
)
