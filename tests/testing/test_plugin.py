"""The pytest plugin, as the tests of an application use it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skerry.workers.toolchain import Toolchain

from .. import dummies

pytest_plugins = ["pytester"]

CONFTEST = """
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def skerry_settings():
    return {settings}
"""

WORKER = """
export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    console.log("asked for", pathname);
    if (pathname === "/count") {
      const { count } = await env.DB.prepare("SELECT count(*) AS count FROM flats").first();
      return Response.json({ count });
    }
    if (pathname === "/kept") {
      ctx.waitUntil(env.KV.put("kept", "yes"));
      return new Response(await env.KV.get("before"));
    }
    if (pathname === "/stream") {
      const stream = await env.AI.run("@skerry/dummy-chat", { prompt: "a b c", stream: true });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    }
    return Response.json(await env.AI.run("@skerry/dummy-chat", { prompt: pathname.slice(1) }));
  },
};
"""

WRANGLER = """
{
  "name": "shop", "main": "index.ts", "compatibility_date": "2026-02-01",
  "ai": { "binding": "AI" },
  "kv_namespaces": [{ "binding": "KV" }],
  "d1_databases": [{ "binding": "DB", "database_name": "shop" }]
}
"""

RECORDED = """
def test_answer(skerry, ai_recorder):
    project = skerry.start("shop")
    assert "hello" in project.fetch("/hello").json()["response"]
    *pieces, end = project.fetch("/stream").events()
    assert len(pieces) > 1 and end == "[DONE]"
"""


@pytest.fixture
def shop(
    pytester: pytest.Pytester, toolbox: Path, tools: Toolchain, tmp_path: Path
) -> pytest.Pytester:
    """A project and its conftest.py; the models are dummies."""
    folder = pytester.mkdir("shop")
    (folder / "index.ts").write_text(WORKER)
    (folder / "wrangler.jsonc").write_text(WRANGLER)
    (folder / "migrations").mkdir()
    (folder / "migrations" / "0001_first.sql").write_text("CREATE TABLE flats (id TEXT);")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    settings = {
        "tools": str(toolbox),
        "models": str(tmp_path / "models"),
        "offline": True,
        "catalog": [str(dummies.write(tmp_path / "catalog"))],
    }
    pytester.makeconftest(CONFTEST.replace("{settings}", repr(settings)))
    return pytester


def test_a_project_runs_and_its_stores_are_at_hand(shop: pytest.Pytester) -> None:
    shop.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def project(skerry):
            return skerry.start("shop")

        def test_fetch(project):
            reply = project.fetch("/hello?x=1", headers={"x-a": "b"})
            assert reply.status == 200
            assert "hello" in reply.json()["response"]
            assert "asked for /hello" in project.wait_for_log("asked")
            assert project.url.startswith("http://127.0.0.1:")

        def test_stores(project):
            assert project.fetch("/count").json() == {"count": 0}  # its migrations are applied
            project.d1("DB").execute("INSERT INTO flats VALUES (?)", "a")
            assert project.fetch("/count").json() == {"count": 1}
            project.d1("shop").reset()
            assert project.fetch("/count").json() == {"count": 0}
            kv = project.kv("KV")
            kv.put("before", "told", metadata={"a": 1})
            assert project.fetch("/kept").text == "told"
            project.until(lambda: kv.get("kept") == "yes")
            assert kv.keys() == ["before", "kept"] and kv.keys("k") == ["kept"]
            kv.clear()
            assert kv.keys() == [] and kv.get("kept") is None
            with pytest.raises(LookupError, match="no KV namespace NOPE"):
                project.kv("NOPE")

        async def test_in_async_tests_too(project, skerry):
            assert project.fetch("/hello").status == 200
            assert "direct" in skerry.run("@skerry/dummy-chat", {"prompt": "direct"})["response"]

        def test_other_code(skerry, tmp_path):
            file = tmp_path / "one.ts"
            file.write_text("export default { fetch() { return new Response('one') } }")
            one = skerry.start(file)
            assert one.fetch().text == "one"
            file.write_text("export default { fetch() { return new Response('two') } }")
            one.reload()
            assert one.fetch().text == "two"
            file.write_text("export default {")
            with pytest.raises(Exception, match="one.ts:1"):
                one.reload()
            assert one.fetch().text == "two"
            one.stop()
            with pytest.raises(Exception, match="one.ts:1"):
                skerry.start(file)
            with pytest.raises(Exception, match="no such folder"):
                skerry.start("nowhere")
        """
    )
    result = shop.runpytest_subprocess("-o", "asyncio_mode=auto", "-W", "error")
    result.assert_outcomes(passed=4)


def test_a_replay_needs_no_model(shop: pytest.Pytester, tmp_path: Path) -> None:
    shop.makepyfile(test_shop=RECORDED)
    shop.runpytest_subprocess().assert_outcomes(passed=1)
    cassette = shop.path / "test_shop.cassette.json"
    recorded = cassette.read_bytes()

    chat = tmp_path / "catalog" / "chat.toml"
    chat.write_text(chat.read_text().replace('["dummy"]', '["nowhere"]'))  # it cannot run now
    shop.runpytest_subprocess("--skerry-record=none").assert_outcomes(passed=1)
    shop.runpytest_subprocess().assert_outcomes(passed=1)
    assert cassette.read_bytes() == recorded
    failed = shop.runpytest_subprocess("--skerry-record=all")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["*nowhere*"])


def test_what_is_not_recorded_fails_the_test_with_the_way_out(shop: pytest.Pytester) -> None:
    shop.makepyfile(
        test_shop=RECORDED
        + """
def test_that_hides_it(skerry, ai_recorder):
    assert skerry.start("shop").fetch("/hidden").status == 500
"""
    )
    result = shop.runpytest_subprocess("--skerry-record=none")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_shop.cassette.json has no recording of @skerry/dummy-chat*hello*",
            "*no recording of @skerry/dummy-chat*hidden*--skerry-record=once*",
        ]
    )
    assert not (shop.path / "test_shop.cassette.json").exists()


def test_pytest_itself_is_not_slowed(tmp_path: Path) -> None:
    """Every pytest run on the machine loads the plugin."""
    code = (
        "import sys, skerry.testing.plugin;"
        "print([name for name in ('numpy', 'aiohttp', 'msgspec', 'typer') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]", done.stderr
