"""The REST faces of all stores."""

from __future__ import annotations

from aiohttp import web

from skerry.api.storage.d1 import D1Rest
from skerry.api.storage.kv import KvRest
from skerry.api.storage.queues import QueuesRest
from skerry.api.storage.r2 import R2Rest
from skerry.api.storage.vectorize import VectorizeRest
from skerry.storage.open import Stores


def storage_routes(stores: Stores) -> list[web.RouteDef]:
    """Every route of every store."""
    return [
        *KvRest(stores).routes(),
        *D1Rest(stores).routes(),
        *R2Rest(stores).routes(),
        *QueuesRest(stores).routes(),
        *VectorizeRest(stores).routes(),
    ]
