"""What a worker is bound to: one struct per kind of binding, as its configuration names them."""

from __future__ import annotations

import msgspec


class _Binding(msgspec.Struct, kw_only=True, frozen=True):
    name: str
    """The name in `env`."""


class AiBinding(_Binding, kw_only=True, frozen=True):
    """`env.NAME.run(model, inputs)`."""


class KvBinding(_Binding, kw_only=True, frozen=True):
    """A KV namespace of the account, made when it is first used."""

    id: str


class D1Binding(_Binding, kw_only=True, frozen=True):
    """A D1 database of the account, made when it is first used."""

    id: str
    database_name: str = ""
    migrations_dir: str = "migrations"
    migrations_table: str = "d1_migrations"


class R2Binding(_Binding, kw_only=True, frozen=True):
    """An R2 bucket of the account, made when it is first used."""

    bucket: str


class QueueBinding(_Binding, kw_only=True, frozen=True):
    """The sending end of a queue."""

    queue: str
    delay: int = 0
    """Seconds by which messages are delayed unless they say otherwise."""


class AnalyticsBinding(_Binding, kw_only=True, frozen=True):
    """`env.NAME.writeDataPoint(…)`."""

    dataset: str


class RateLimitBinding(_Binding, kw_only=True, frozen=True):
    """`env.NAME.limit({key})`: `limit` calls in `period` seconds."""

    namespace_id: str
    limit: int
    period: int


class VectorizeBinding(_Binding, kw_only=True, frozen=True):
    """A Vectorize index of the account; it must have been created."""

    index_name: str


class ServiceBinding(_Binding, kw_only=True, frozen=True):
    """Another worker of this node."""

    service: str
    entrypoint: str | None = None


class AssetsBinding(_Binding, kw_only=True, frozen=True):
    """The project's static files, as a fetcher."""


Binding = (
    AiBinding
    | KvBinding
    | D1Binding
    | R2Binding
    | QueueBinding
    | AnalyticsBinding
    | RateLimitBinding
    | VectorizeBinding
    | ServiceBinding
    | AssetsBinding
)
