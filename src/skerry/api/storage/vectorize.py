"""Vectorize over REST: indexes, vectors, queries, metadata indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import BodyPartReader, web

from skerry.api.bindings.vectorize import (
    MAX_BODY,
    Ids,
    QueryBody,
    body_of,
    info_object,
    parsed,
    queried,
    too_large,
)
from skerry.api.reading import read_body
from skerry.api.storage.queue_messages import iso
from skerry.api.storage.rest import ACCOUNT, number, ok, page_of, stored
from skerry.storage.vectorize.base import (
    MAX_LIST,
    REST_BATCH,
    IndexConfig,
    IndexDetails,
    InvalidIndex,
    InvalidVectors,
    Metric,
    PropertyType,
    Vector,
    VectorIndex,
)

if TYPE_CHECKING:
    from skerry.storage.open import Stores

BASE = f"{ACCOUNT}/vectorize/v2/indexes"

PRESETS = {
    "@cf/baai/bge-small-en-v1.5": 384,
    "@cf/baai/bge-base-en-v1.5": 768,
    "@cf/baai/bge-large-en-v1.5": 1024,
    "openai/text-embedding-ada-002": 1536,
    "cohere/embed-multilingual-v2.0": 768,
}
"""Dimensions by model; the metric is cosine."""


class Config(msgspec.Struct):
    """What an index is: dimensions and metric, or a preset."""

    dimensions: int | None = None
    metric: Metric | None = None
    preset: str | None = None


class IndexBody(msgspec.Struct):
    """The body that creates an index."""

    name: str
    config: Config
    description: str = ""


class PropertyBody(msgspec.Struct, rename="camel"):
    """The body that creates a metadata index."""

    property_name: str
    index_type: PropertyType


class NameBody(msgspec.Struct, rename="camel"):
    """The body that deletes a metadata index."""

    property_name: str


class VectorizeRest:
    """/accounts/{account}/vectorize/v2/indexes…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def routes(self) -> list[web.RouteDef]:
        one = f"{BASE}/{{index}}"
        return [
            web.get(BASE, stored(self.list)),
            web.post(BASE, stored(self.create, IndexBody)),
            web.get(one, stored(self.get)),
            web.delete(one, stored(self.delete)),
            web.get(f"{one}/info", stored(self.info)),
            web.get(f"{one}/list", stored(self.list_vectors)),
            web.post(f"{one}/insert", stored(self.insert)),
            web.post(f"{one}/upsert", stored(self.upsert)),
            web.post(f"{one}/query", stored(self.query, QueryBody)),
            web.post(f"{one}/get_by_ids", stored(self.get_by_ids, Ids)),
            web.post(f"{one}/delete_by_ids", stored(self.delete_by_ids, Ids)),
            web.get(f"{one}/metadata_index/list", stored(self.properties)),
            web.post(f"{one}/metadata_index/create", stored(self.add_property, PropertyBody)),
            web.post(f"{one}/metadata_index/delete", stored(self.remove_property, NameBody)),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List the indexes, by page."""
        items = await self._stores.vectorize(request.match_info["account"]).list()
        found, info = page_of(request, items)
        return ok([index_object(each) for each in found], info)

    async def create(self, request: web.Request) -> web.Response:
        """Create an index: {name, description?, config: {dimensions, metric} or {preset}}."""
        body = await body_of(request, IndexBody)
        indexes = self._stores.vectorize(request.match_info["account"])
        made = await indexes.create(body.name, _config(body.config), body.description)
        return ok(index_object(made))

    async def get(self, request: web.Request) -> web.Response:
        """Show an index."""
        return ok(index_object((await self._index(request)).details))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an index with its vectors."""
        where = request.match_info
        await self._stores.vectorize(where["account"]).delete(where["index"])
        return ok(None)

    async def info(self, request: web.Request) -> web.Response:
        """Tell how many vectors there are, and the last mutation."""
        return ok(info_object(await (await self._index(request)).state()))

    async def list_vectors(self, request: web.Request) -> web.Response:
        """List the ids of all vectors, `count` a page."""
        index = await self._index(request)
        count = number(request, "count", 100, 1, MAX_LIST)
        page = await index.list(count, request.query.get("cursor"))
        return ok(
            {
                "count": len(page.ids),
                "totalCount": page.total,
                "isTruncated": page.cursor is not None,
                "nextCursor": page.cursor,
                "cursorExpirationTimestamp": None,
                "vectors": [{"id": each} for each in page.ids],
            }
        )

    async def insert(self, request: web.Request) -> web.Response:
        """Add vectors: NDJSON, or a multipart file `vectors`; ids that are there stay."""
        index = await self._index(request)
        return ok({"mutationId": await index.insert(await _vectors(request))})

    async def upsert(self, request: web.Request) -> web.Response:
        """Add or replace vectors: NDJSON, or a multipart file `vectors`."""
        index = await self._index(request)
        return ok({"mutationId": await index.upsert(await _vectors(request))})

    async def query(self, request: web.Request) -> web.Response:
        """Find the vectors nearest to one: {vector or vectorId, topK?, filter?, …}."""
        index = await self._index(request)
        return ok(msgspec.to_builtins(await queried(index, await body_of(request, QueryBody))))

    async def get_by_ids(self, request: web.Request) -> web.Response:
        """Show vectors: {ids}."""
        index = await self._index(request)
        found = await index.get_by_ids((await body_of(request, Ids)).ids)
        return ok(msgspec.to_builtins(found))

    async def delete_by_ids(self, request: web.Request) -> web.Response:
        """Delete vectors: {ids}."""
        index = await self._index(request)
        return ok({"mutationId": await index.delete_by_ids((await body_of(request, Ids)).ids)})

    async def properties(self, request: web.Request) -> web.Response:
        """List the metadata indexes."""
        found = await (await self._index(request)).metadata_indexes()
        return ok(
            {
                "metadataIndexes": [
                    {"propertyName": name, "indexType": kind} for name, kind in found.items()
                ]
            }
        )

    async def add_property(self, request: web.Request) -> web.Response:
        """Let filters use a property: {propertyName, indexType}."""
        index = await self._index(request)
        body = await body_of(request, PropertyBody)
        mutation = await index.add_metadata_index(body.property_name, body.index_type)
        return ok({"mutationId": mutation})

    async def remove_property(self, request: web.Request) -> web.Response:
        """Delete a metadata index: {propertyName}."""
        index = await self._index(request)
        name = (await body_of(request, NameBody)).property_name
        return ok({"mutationId": await index.remove_metadata_index(name)})

    async def _index(self, request: web.Request) -> VectorIndex:
        """The index of the path. Raises IndexNotFound."""
        where = request.match_info
        return await self._stores.vectorize(where["account"]).open(where["index"])


def _config(config: Config) -> IndexConfig:
    if config.preset is not None:
        dimensions = PRESETS.get(config.preset)
        if dimensions is None:
            raise InvalidIndex(
                f"preset: {config.preset[:80]!r} is not known; give dimensions and metric"
            )
        return IndexConfig(dimensions=dimensions, metric="cosine")
    if config.dimensions is None or config.metric is None:
        raise InvalidIndex("config: give dimensions and metric, or a preset")
    return IndexConfig(dimensions=config.dimensions, metric=config.metric)


async def _vectors(request: web.Request) -> list[Vector]:
    behaviour = request.query.get("unparsable-behavior", "error")
    if behaviour not in ("error", "discard"):
        raise InvalidVectors(f"unparsable-behavior: {behaviour[:40]!r} is not error or discard")
    if request.content_type == "multipart/form-data":
        data = await _file(request)
    else:
        data = await read_body(request, MAX_BODY, too_large)
    return await parsed(data, REST_BATCH, discard=behaviour == "discard")


async def _file(request: web.Request) -> bytes:
    """The file `vectors` of a multipart body. Raises InvalidVectors, VectorError."""
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name != "vectors":
                continue
            data = bytearray()
            while chunk := await part.read_chunk(1 << 16):
                data += chunk
                if len(data) > MAX_BODY:
                    too_large(len(data))
            return bytes(data)
    except (ValueError, AssertionError, web.RequestPayloadError) as error:  # aiohttp's words
        raise InvalidVectors(f"the multipart body cannot be read: {error}") from error
    raise InvalidVectors("the multipart body has no part `vectors`")


def index_object(details: IndexDetails) -> dict[str, Any]:
    """An index as Cloudflare lists it."""
    made = iso(details.created_ms)
    return {
        "name": details.name,
        "description": details.description,
        "config": msgspec.structs.asdict(details.config),
        "created_on": made,
        "modified_on": made,
    }
