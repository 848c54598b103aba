"""The REST faces of all stores."""

from __future__ import annotations

from aiohttp import web

from skerry.api.storage.kv import KvRest
from skerry.storage.open import Stores


def storage_routes(stores: Stores) -> list[web.RouteDef]:
    """Every route of every store."""
    return [
        *KvRest(stores).routes(),
    ]
