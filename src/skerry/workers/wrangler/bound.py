"""The bindings that a configuration names, and the queues that it takes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from skerry.workers.bindings import (
    AiBinding,
    AnalyticsBinding,
    AssetsBinding,
    Binding,
    D1Binding,
    KvBinding,
    QueueBinding,
    R2Binding,
    RateLimitBinding,
    ServiceBinding,
    VectorizeBinding,
)
from skerry.workers.diagnostics import Diagnostic
from skerry.workers.project import QueueConsumer
from skerry.workers.wrangler.check import check
from skerry.workers.wrangler.document import Document, Keys, dotted
from skerry.workers.wrangler.environment import Chosen
from skerry.workers.wrangler.keys_bindings import RATE_LIMIT

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,254}")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_PERIODS = (10, 60)


class Bound:
    """Reads the bindings of one chosen environment; what is wrong goes to `diagnostics`."""

    def __init__(self, chosen: Chosen, project: str) -> None:
        self.chosen = chosen
        self.project = project
        self.document: Document = chosen.document
        self.diagnostics: list[Diagnostic] = []

    def bindings(self) -> tuple[Binding, ...]:
        """Every binding, in the order of the tables of keys."""
        out: list[Binding] = []
        seen: dict[str, Keys] = {}
        for binding, way in self._all():
            self._check_name(binding.name, way, seen)
            out.append(binding)
        version = self.chosen.get("version_metadata", {}).get("binding")
        if version is not None:
            self._check_name(version, self.chosen.way("version_metadata") or (), seen)
        variables = self.chosen.way("vars")
        for name in self.chosen.get("vars", {}):
            if name in seen and variables is not None:
                self._twice(name, (*variables, name), seen[name])
        return tuple(out)

    def _all(self) -> Iterator[tuple[Binding, Keys]]:
        ai = self.chosen.way("ai")
        if ai is not None:
            yield AiBinding(name=self.chosen.get("ai")["binding"]), ai
        assets = self.chosen.get("assets", {}).get("binding")
        if assets is not None:
            yield AssetsBinding(name=assets), (*(self.chosen.way("assets") or ()), "binding")
        readers: dict[str, Callable[[dict[str, Any], Keys], Binding]] = {
            "kv_namespaces": self._kv,
            "d1_databases": self._d1,
            "r2_buckets": self._r2,
            "vectorize": self._vectorize,
            "analytics_engine_datasets": self._analytics,
            "services": self._service,
            "ratelimits": self._rate_limit,
        }
        for name, reader in readers.items():
            way = self.chosen.way(name)
            for number, item in enumerate(self.chosen.get(name, [])):
                here = (*(way or ()), number)
                yield reader(item, here), here
        queues = self.chosen.way("queues")
        for number, item in enumerate(self.chosen.get("queues", {}).get("producers", [])):
            yield self._producer(item), (*(queues or ()), "producers", number)
        yield from self._unsafe()

    def _derived(self, binding: str) -> str:
        """The id of what has none, as wrangler makes one: the project's and the binding's name."""
        name = f"{self.project}-{binding}".lower().replace("_", "-").replace("$", "-")
        return name.strip("-")[:63].rstrip("-")

    def _id(self, item: dict[str, Any], key: str, way: Keys) -> str:
        """The id at `key`. One that cannot be an id, as examples have it ("<your id>"), is
        replaced and told."""
        value = item.get(key)
        if value is None:
            return self._derived(item["binding"])
        return (
            value if _ID.fullmatch(value) else self._replaced(value, item["binding"], (*way, key))
        )

    def _replaced(self, value: str, binding: str, way: Keys) -> str:
        derived = self._derived(binding)
        shown = value if len(value) <= 40 else f"{value[:37]}..."
        message = f"`{dotted(way)}`: {shown!r} cannot be an id or a name here; {derived} is taken"
        self.diagnostics.append(self.document.say("warning", message, way))
        return derived

    def _kv(self, item: dict[str, Any], way: Keys) -> KvBinding:
        return KvBinding(name=item["binding"], id=self._id(item, "id", way))

    def _d1(self, item: dict[str, Any], way: Keys) -> D1Binding:
        return D1Binding(
            name=item["binding"],
            id=self._id(item, "database_id", way),
            database_name=item.get("database_name") or self._derived(item["binding"]),
            migrations_dir=item.get("migrations_dir", "migrations"),
            migrations_table=item.get("migrations_table", "d1_migrations"),
        )

    def _r2(self, item: dict[str, Any], way: Keys) -> R2Binding:
        name = item.get("bucket_name")
        if name is None:
            name = self._derived(item["binding"])
        elif not _BUCKET.fullmatch(name):
            name = self._replaced(name, item["binding"], (*way, "bucket_name"))
        return R2Binding(name=item["binding"], bucket=name)

    def _vectorize(self, item: dict[str, Any], way: Keys) -> VectorizeBinding:
        return VectorizeBinding(name=item["binding"], index_name=self._id(item, "index_name", way))

    def _analytics(self, item: dict[str, Any], way: Keys) -> AnalyticsBinding:
        dataset = item.get("dataset")
        if dataset is None:
            return AnalyticsBinding(name=item["binding"], dataset=item["binding"])
        return AnalyticsBinding(name=item["binding"], dataset=self._id(item, "dataset", way))

    def _service(self, item: dict[str, Any], way: Keys) -> ServiceBinding:
        return ServiceBinding(
            name=item["binding"], service=item["service"], entrypoint=item.get("entrypoint")
        )

    def _producer(self, item: dict[str, Any]) -> QueueBinding:
        return QueueBinding(
            name=item["binding"], queue=item["queue"], delay=int(item.get("delivery_delay", 0))
        )

    def _rate_limit(self, item: dict[str, Any], way: Keys) -> RateLimitBinding:
        simple = item["simple"]
        if simple["period"] not in _PERIODS:
            message = f"`{dotted((*way, 'simple', 'period'))}` must be 10 or 60, seconds"
            self.diagnostics.append(self.document.say("error", message, (*way, "simple", "period")))
        return RateLimitBinding(
            name=item["name"],
            namespace_id=item["namespace_id"],
            limit=int(simple["limit"]),
            period=int(simple["period"]),
        )

    def _unsafe(self) -> Iterator[tuple[Binding, Keys]]:
        """Of `unsafe.bindings` only the rate limit, which stood there before `ratelimits`."""
        way = self.chosen.way("unsafe")
        for number, item in enumerate(self.chosen.get("unsafe", {}).get("bindings", [])):
            here = (*(way or ()), "bindings", number)
            kind = item.get("type") if isinstance(item, dict) else None
            if kind != "ratelimit":
                message = f"`{dotted(here)}` is not supported: the binding will be missing in `env`"
                self.diagnostics.append(self.document.say("warning", message, here))
                continue
            rest = {name: value for name, value in item.items() if name != "type"}
            found = list(check(_within(self.document, here, rest), RATE_LIMIT, here))
            self.diagnostics += found
            if not any(each.level == "error" for each in found):
                yield self._rate_limit(rest, here), here

    def _check_name(self, name: str, way: Keys, seen: dict[str, Keys]) -> None:
        if not _NAME.fullmatch(name):
            message = f"{name!r} cannot be a binding's name: it must be a JavaScript identifier"
            self.diagnostics.append(self.document.say("error", message, way))
        if name in seen:
            self._twice(name, way, seen[name])
        seen.setdefault(name, way)

    def _twice(self, name: str, way: Keys, first: Keys) -> None:
        message = f"the name {name} is given twice: `{dotted(first)}` has it already"
        self.diagnostics.append(self.document.say("error", message, way))

    def consumers(self) -> tuple[QueueConsumer, ...]:
        """The queues that this worker takes batches from."""
        out: list[QueueConsumer] = []
        way = self.chosen.way("queues") or ()
        for number, item in enumerate(self.chosen.get("queues", {}).get("consumers", [])):
            here = (*way, "consumers", number)
            if any(each.queue == item["queue"] for each in out):
                message = f"the queue {item['queue']} has two consumers: leave one out"
                self.diagnostics.append(self.document.say("error", message, here))
                continue
            known = {name: item[name] for name in QueueConsumer.__struct_fields__ if name in item}
            out.append(QueueConsumer(**known))
        return tuple(out)


def _within(document: Document, way: Keys, value: dict[str, Any]) -> Document:
    """The document with `value` at `way`, and the places of the original."""
    whole: Any = value
    for part in reversed(way):
        whole = {part: whole}
    return Document(document.file, whole, document.keys, document.values)
