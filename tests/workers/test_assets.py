"""Static files: which file answers which path, and what stays inside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.workers.assets import AssetAnswer, AssetRequest, StaticSite
from skerry.workers.project import Assets, HtmlHandling

MODES = get_args(HtmlHandling)


def put(root: Path, *names: str, **texts: str) -> Path:
    """Files in a folder, each with its name as its content."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    for name, text in texts.items():
        (root / name).write_text(text)
    return root


def site(root: Path, **settings: Any) -> StaticSite:
    return StaticSite(Assets(directory=root, **settings))


def get(site: StaticSite, path: str, **request: Any) -> AssetAnswer:
    path, _, query = path.partition("?")
    return site.answer(AssetRequest(path=path, query=query, **request))


def said(answer: AssetAnswer) -> str:
    """`200 file` or `307 location`."""
    headers = dict(answer.headers)
    what = answer.path.read_text() if answer.path else headers.get("location", "")
    return f"{answer.status} {what}".strip()


# what each mode answers with file.html, folder/index.html, both.html, both/index.html and
# index.html; rows of Cloudflare's page "HTML handling", and what follows from its rules
ANSWERS = """
path                auto-trailing-slash      force-trailing-slash     drop-trailing-slash      none
/                   200 index.html           200 index.html           200 index.html           404
/index              307 /                    307 /                    307 /                    404
/index.html         307 /                    307 /                    307 /                    200 index.html
/file               200 file.html            307 /file/               200 file.html            404
/file.html          307 /file                307 /file/               307 /file                200 file.html
/file/              307 /file                200 file.html            307 /file                404
/file/index         307 /file                307 /file/               307 /file                404
/file/index.html    307 /file                307 /file/               307 /file                404
/folder             307 /folder/             307 /folder/             200 folder/index.html    404
/folder.html        307 /folder/             307 /folder/             307 /folder              404
/folder/            200 folder/index.html    200 folder/index.html    307 /folder              404
/folder/index       307 /folder/             307 /folder/             307 /folder              404
/folder/index.html  307 /folder/             307 /folder/             307 /folder              200 folder/index.html
/both               200 both.html            307 /both/               200 both.html            404
/both.html          307 /both                200 both.html            307 /both                200 both.html
/both/              200 both/index.html      200 both/index.html      307 /both                404
/both/index         307 /both/               307 /both/               307 /both                404
/both/index.html    307 /both/               307 /both/               200 both/index.html      200 both/index.html
/bin                200 bin                  200 bin                  200 bin                  200 bin
/bin/               404                      404                      404                      404
/none               404                      404                      404                      404
/none.html          404                      404                      404                      404
/none/index.html    404                      404                      404                      404
"""  # noqa: E501


def rows() -> Iterator[tuple[str, HtmlHandling, str]]:
    head, *lines = ANSWERS.strip().splitlines()
    starts = [head.index(mode) for mode in MODES]
    for line in lines:
        for mode, start, end in zip(MODES, starts, [*starts[1:], None], strict=True):
            yield line.split()[0], mode, line[start:end].strip()


@pytest.mark.parametrize(("path", "mode", "expected"), list(rows()))
def test_html_handling(tmp_path: Path, path: str, mode: HtmlHandling, expected: str) -> None:
    names = ("file.html", "folder/index.html", "both.html", "both/index.html", "index.html", "bin")
    assert said(get(site(put(tmp_path, *names), html_handling=mode), path)) == expected


def test_not_found_handling(tmp_path: Path) -> None:
    put(tmp_path, "index.html", "404.html", "docs/404.html", "docs/a.html")
    plain = site(tmp_path)
    assert said(get(plain, "/x")) == "404"
    app = site(tmp_path, not_found_handling="single-page-application")
    assert said(get(app, "/x/y")) == "200 index.html"
    pages = site(tmp_path, not_found_handling="404-page")
    assert said(get(pages, "/x/y")) == "404 404.html"
    assert said(get(pages, "/docs/deep/er")) == "404 docs/404.html"
    assert said(get(pages, "/docs/a")) == "200 docs/a.html"


def test_who_answers_a_public_request(tmp_path: Path) -> None:
    put(tmp_path, "index.html", "a.css", "api/docs.html")

    def public(settings: dict[str, Any], path: str, **headers: str) -> str:
        assets = Assets(directory=tmp_path, **settings)
        answer = StaticSite(assets).public(AssetRequest(path=path, headers=headers))
        return "worker" if answer is None else said(answer)

    app: dict[str, Any] = {"not_found_handling": "single-page-application"}
    assert public(app, "/a.css") == "200 a.css"
    assert public(app, "/x") == "worker"
    assert public(app, "/x", **{"sec-fetch-mode": "navigate"}) == "200 index.html"
    assert public({"run_worker_first": True}, "/a.css") == "worker"
    some = {"run_worker_first": ("/api/*", "!/api/docs")}
    assert public(some, "/api/x") == "worker"
    assert public(some, "/api/docs") == "200 api/docs.html"
    assert public(some, "/a.css") == "200 a.css"
    alone = StaticSite(Assets(directory=tmp_path), has_worker=False)
    assert alone.public(AssetRequest(path="/x")) == AssetAnswer(404)
    early = StaticSite(Assets(directory=tmp_path, **app), compatibility_date="2024-01-01")
    navigate = AssetRequest(path="/x", headers={"sec-fetch-mode": "navigate"})
    assert early.public(navigate) is None


def test_etags_types_and_methods(tmp_path: Path) -> None:
    here = site(put(tmp_path, "a.js", "b.wasm", "c.unknown", "index.html"))
    answer = get(here, "/a.js")
    headers = dict(answer.headers)
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["cache-control"] == "public, max-age=0, must-revalidate"
    etag = headers["etag"]
    for match in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = get(here, "/a.js", headers={"if-none-match": match})
        assert (again.status, again.path) == (304, None)
        assert dict(again.headers)["etag"] == etag
    assert get(here, "/a.js", headers={"if-none-match": '"x"'}).status == 200
    (tmp_path / "a.js").write_text("changed")
    assert get(here, "/a.js", headers={"if-none-match": etag}).status == 200
    assert "cache-control" not in dict(get(here, "/a.js", headers={"authorization": "x"}).headers)
    assert dict(get(here, "/b.wasm").headers)["content-type"] == "application/wasm"
    assert "content-type" not in dict(get(here, "/c.unknown").headers)
    assert get(here, "/a.js", method="HEAD").status == 200
    assert get(here, "/a.js", method="POST") == AssetAnswer(405, (("allow", "GET, HEAD"),))
    assert get(here, "/none", method="POST").status == 404


def test_paths_are_decoded_and_the_encoded_form_is_the_one(tmp_path: Path) -> None:
    here = site(put(tmp_path, "\u00fc b.txt", "[x].txt", "100%.txt"))
    assert said(get(here, "/%C3%BC%20b.txt")) == "200 \u00fc b.txt"
    assert said(get(here, "/%c3%bc%20b.txt?q=1")) == "307 /%C3%BC%20b.txt?q=1"
    assert said(get(here, "/[x].txt")) == "307 /%5Bx%5D.txt"
    assert said(get(here, "/100%25.txt")) == "200 100%.txt"
    assert said(get(here, "//100%25.txt")) == "307 /100%25.txt"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/a/../../secret", "/a/..%2f..%2fsecret",
        "/./a.txt", "/a.txt%00", "/%00", "/..\\secret", "/..%5csecret", "", "secret",
        "/" + "a" * 5000, "/link", "/linked/secret", "/loop", "/.dev.vars", "/.env", "/.env.local",
        "/.git/config", "/%2edev.vars", "/renamed", "/node_modules/x/i.js",
        "/_headers", "/_redirects", "/.assetsignore", "/hidden.map", "/drafts/x.txt", "/folder",
        "/pipe",
    ],
)  # fmt: skip
def test_what_is_not_to_be_seen(tmp_path: Path, path: str) -> None:
    put(tmp_path, "secret", "out/secret")
    root = put(
        tmp_path / "site", "a.txt", "a/b.txt", ".dev.vars", ".env", ".env.local", "hidden.map"
    )
    put(root, ".git/config", "node_modules/x/i.js", "drafts/x.txt", "folder/keep", "_headers")
    put(root, "_redirects", **{".assetsignore": "*.map\n/drafts\n!.dev.vars\n"})
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked").symlink_to(tmp_path / "out")
    (root / "loop").symlink_to(root / "loop")
    (root / "renamed").symlink_to(root / ".dev.vars")
    os.mkfifo(root / "pipe")
    here = site(root, html_handling="none")
    assert get(here, path).status == 404
    assert get(here, path).path is None
    assert said(get(here, "/a.txt")) == "200 a.txt"


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    put(tmp_path, "v1/app.js")
    (tmp_path / "current").symlink_to("v1")
    assert said(get(site(tmp_path), "/current/app.js")) == "200 v1/app.js"


name = st.sampled_from(["a", "b", "index", "404", "a.html", "index.html", "404.html", "x y"])
trees = st.lists(st.lists(name, min_size=1, max_size=3).map("/".join), max_size=6)
requests = st.lists(
    st.sampled_from(
        [
            "/",
            "a",
            "b",
            "index",
            ".html",
            "..",
            ".",
            "%2e",
            "%2F",
            "%",
            "\\",
            "x%20y",
            "//",
            "\0",
            "?",
        ]
    ),
    max_size=8,
).map(lambda parts: "/" + "".join(parts))


@given(
    trees,
    requests,
    st.sampled_from(MODES),
    st.sampled_from(["none", "404-page", "single-page-application"]),
)
def test_no_path_leads_out_or_round_in_circles(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    path: str,
    mode: HtmlHandling,
    not_found: Any,
) -> None:
    root = tmp_path_factory.mktemp("site")
    for each in names:
        file = root / each
        if not file.exists() and not any(parent.is_file() for parent in file.parents):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(each)
    here = site(root, html_handling=mode, not_found_handling=not_found)
    answer = get(here, path)
    for _ in range(3):
        if answer.status != 307:
            break
        location = dict(answer.headers)["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        answer = get(here, location)
        assert answer.status != 404 or answer.path is not None or not_found != "none"
    assert answer.status in (200, 404)
    if answer.path is not None:
        assert answer.path.is_relative_to(root)
        assert answer.path.is_file()


REDIRECTS = """
# comment
/old /new
/old /twice                      # a second rule for a path is left out
/away https://other.test/x?y=1#z 301
/blog/* /posts/:splat 308
/u/:id/edit /users/:id?edit=1
/app/* /file 200
/after /static-after-dynamic
/query/* https://other.test/:splat
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/old", "302 /new"),
        ("/old?a=1", "302 /new?a=1"),
        ("/away?a=1", "301 https://other.test/x?y=1#z"),
        ("/blog/2024/x", "308 /posts/2024/x"),
        ("/blog//evil.test", "308 /posts/evil.test"),
        ("/u/7/edit?a=1", "302 /users/7?edit=1"),
        ("/u/7/8/edit", "404"),
        ("/app/anything", "200 file.html"),
        ("/after", "302 /static-after-dynamic"),
        ("/query/p?q=1", "302 https://other.test/p?q=1"),
        ("/query/p%0d%0aX:1", "302 https://other.test/p%0d%0aX:1"),
        ("/file", "200 file.html"),
    ],
)
def test_redirects(tmp_path: Path, path: str, expected: str) -> None:
    put(tmp_path, "file.html", "old", _redirects=REDIRECTS)
    here = site(tmp_path)
    assert said(get(here, path)) == expected
    assert [(each.line, each.file.name) for each in here.diagnostics] == [(4, "_redirects")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/a", "FROM TO"),
        ("/a /b 302 x", "FROM TO"),
        ("/a /b 404", "the status is one of"),
        ("https://h/a /b", "without a host"),
        ("/a b", "leads to a path"),
        ("/a http://x/", "leads to a path"),
        ("/a/* /index.html", "for ever"),
        ("/ /index", "for ever"),
        ("/a https://x/ 200", "a path of this site"),
        ("/*/* /b", "one *"),
        ("/:a/:a /b", "no name twice"),
        ("/" + "a" * 2000 + " /b", "2000 characters"),
    ],
)
def test_a_redirect_that_is_none_is_told(tmp_path: Path, line: str, words: str) -> None:
    here = site(put(tmp_path, _redirects=f"\n{line}\n/ok /fine\n"))
    assert [each.line for each in here.diagnostics] == [2]
    assert words in here.diagnostics[0].message
    assert said(get(here, "/ok")) == "302 /fine"


def test_a_redirect_to_the_root_s_page_is_fine_without_html_handling(tmp_path: Path) -> None:
    here = site(put(tmp_path, _redirects="/ /index.html"), html_handling="none")
    assert here.diagnostics == ()
    assert said(get(here, "/")) == "302 /index.html"


HEADERS = """
/*
  X-All: 1
  Set: a
/static/*
  Cache-Control: public, max-age=31536000
  Set: b
  ! ETag
https://:sub.example.com/by/:name
  X-Who: :name at :sub
/empty
/bad
  no colon
  Two Words: x
  Empty:
  Content-Length: 3
"""


def test_headers(tmp_path: Path) -> None:
    here = site(put(tmp_path, "static/a.css", "by/me", "b.txt", _headers=HEADERS))
    plain = dict(get(here, "/b.txt").headers)
    assert (plain["x-all"], plain["set"]) == ("1", "a")
    static = dict(get(here, "/static/a.css").headers)
    assert static["cache-control"] == "public, max-age=31536000"
    assert static["set"] == "a, b"
    assert "etag" not in static
    there = dict(get(here, "/by/me", host="api.example.com").headers)
    assert there["x-who"] == "me at api"
    assert "x-who" not in dict(get(here, "/by/me").headers)
    assert dict(get(here, "/none").headers) == {"x-all": "1", "set": "a"}
    told = [(each.line, each.message.split(";")[0]) for each in here.diagnostics]
    assert [line for line, _ in told] == [13, 14, 15, 16, 11, 12]
    assert told[0][1].startswith("a header is")
    assert told[-1][1] == "no headers follow this path"


def test_a_line_that_is_no_pattern_ignores_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / ".assetsignore").write_text("\\\na.txt\n")
    here = site(tmp_path)
    assert get(here, "/a.txt").status == 404
    assert get(here, "/b.txt").status == 200


@given(st.text(max_size=80), requests)
def test_no_settings_file_breaks_a_site(
    tmp_path_factory: pytest.TempPathFactory, text: str, path: str
) -> None:
    root = tmp_path_factory.mktemp("site")
    for name in ("_headers", "_redirects", ".assetsignore"):
        (root / name).write_text(text, errors="replace")
    answer = get(site(root), path)
    for header, value in answer.headers:
        assert "\n" not in header + value
        assert "\r" not in header + value
    location = dict(answer.headers).get("location", "/")
    assert location.startswith("/") or urlsplit(location).scheme == "https"
