"""The OpenAPI document says what the server does, and the pages say what the document does."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs

from skerry.errors import error_table

from .conftest import Rig


async def document(rig: Rig) -> dict[str, Any]:
    async with rig.http.get(f"{rig.url}/openapi.json") as got:
        assert got.headers["Content-Type"] == "application/json"
        found: dict[str, Any] = await got.json()
    return found


async def test_every_route_is_documented(rig: Rig) -> None:
    found = await document(rig)
    documented = {
        (method.upper(), path)
        for path, item in found["paths"].items()
        for method in item
        if method != "parameters"
    }
    served = {
        (route.method, route.resource.canonical)
        for route in rig.app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "*")
    }
    assert documented == served


async def test_every_error_code_is_documented(rig: Rig) -> None:
    found = await document(rig)
    assert {row["code"] for row in found["x-errors"]} == {kind.code for kind in error_table()}
    text = json.dumps(found["components"]["responses"])
    for kind in error_table():
        assert f"{kind.code}: " in text


async def test_references_lead_somewhere_and_schemas_compile(rig: Rig) -> None:
    found = await document(rig)
    for ref in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(found))):
        place: Any = found
        for part in ref.split("/"):
            place = place[part]
    for name, schema in found["components"]["schemas"].items():
        whole = {"components": found["components"], **schema}
        assert jsonschema_rs.validator_for(whole), name
    names = [
        what["operationId"]
        for item in found["paths"].values()
        for method, what in item.items()
        if method != "parameters"
    ]
    assert len(names) == len(set(names))


class Page(HTMLParser):
    """Collects what a page loads and links to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name == "href":
                self.links.add(value or "")
            if name in ("src", "style") or name.startswith("on"):
                self.odd.append(name)


async def test_pages_stand_alone(rig: Rig) -> None:
    for path in ("/docs", "/"):
        async with rig.http.get(f"{rig.url}{path}") as got:
            policy = got.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            page = Page()
            page.feed(await got.text())
        assert page.odd == []
        assert not page.tags & {"script", "link", "img", "iframe"}
        for link in page.links:
            if link.startswith("#"):
                assert link[1:] in page.ids
            else:
                async with rig.http.get(f"{rig.url}{link}") as got:
                    assert got.status in (200, 503), link


async def test_the_home_page_s_example_asks_the_node_that_shows_it(rig: Rig) -> None:
    async with rig.http.get(f"{rig.url}/") as got:
        text = await got.text()
    assert f"curl {rig.url}/client/v4/accounts/local/ai/run/@skerry/minilm-sst2" in text
    async with rig.http.get(f"{rig.url}/", headers={"Host": "a<script>"}) as got:
        assert "<script" not in await got.text()


async def test_the_docs_lead_to_their_parts_and_show_code_as_code(rig: Rig) -> None:
    async with rig.http.get(f"{rig.url}/docs") as got:
        text = await got.text()
    for tag in (await document(rig))["tags"]:
        assert f'href="#{tag["name"]}"' in text
    prose = text.partition('id="schemas"')[0]
    assert "<code>stream</code> true" in prose
    assert "`" not in re.sub(r"<pre>.*?</pre>", "", prose, flags=re.DOTALL)


async def test_the_docs_name_every_path_and_code(rig: Rig) -> None:
    found = await document(rig)
    async with rig.http.get(f"{rig.url}/docs") as got:
        text = await got.text()
    for path in found["paths"]:
        assert f"<code>{path}</code>" in text
    for kind in error_table():
        assert f"<td>{kind.code}</td>" in text
