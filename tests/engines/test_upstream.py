"""The engine upstream against a real HTTP server that answers as OpenAI-compatible servers do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from skerry.engines.base import Choice
from skerry.engines.upstream import Upstream
from skerry.errors import (
    ContextTooLong,
    EngineError,
    InferenceTimeout,
    InvalidInput,
    NoSuchModel,
    OutOfCapacity,
)
from skerry.tasks.base import Embed, Embedded, Generate, Generated
from skerry.types import ModelFiles
from tests.engines.sinks import Heard

Behaviour = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Server:
    """One behaviour at a time; remembers what it was asked, and when a client went away."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = lambda handler, body: None
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.left = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, dict(self.headers), body))
                try:
                    outer.behaviour(self, body)
                except OSError:
                    outer.left.set()

            def log_message(self, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def upstream(server: Server, **options: Any) -> Upstream:
    files = ModelFiles("@skerry/there", "text-generation", Path(), {})
    options = {"url": server.url, "model": "there", **options}
    return Upstream.load(files, Choice(engine="upstream", options=options))


def send(status: int, value: Any, **headers: str) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        data = value if isinstance(value, bytes) else msgspec.json.encode(value)
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def stream(*events: Any, done: bool = True) -> Behaviour:
    lines = [b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events]
    if done:
        lines.append(b"data: [DONE]\n\n")
    return send(200, b": hello\n\n" + b"".join(lines), Content_Type="text/event-stream")


def delta(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
CALL = Generate(messages=[{"role": "user", "content": "hi"}], temperature=0.5, seed=3, stop=["z"])


def test_chat_streams_and_counts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE_KEY", "secret-1")
    server.behaviour = stream(delta("Hé"), delta("llo"), delta("", "stop"), USAGE)
    sink = Heard()
    done = upstream(server, key_env="THERE_KEY").run(CALL, sink)
    assert done == Generated(
        text="Héllo", finish_reason="stop", prompt_tokens=9, completion_tokens=2
    )
    assert sink.pieces == ["Hé", "llo"]
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret-1"
    assert (body["model"], body["temperature"], body["seed"]) == ("there", 0.5, 3)
    assert body["stop"] == ["z"]


def test_raw_prompts_go_to_completions(server: Server) -> None:
    server.behaviour = stream({"choices": [{"text": "x", "finish_reason": "length"}]})
    done = upstream(server).run(Generate(prompt="raw"), Heard())
    assert isinstance(done, Generated)
    assert (done.text, done.finish_reason) == ("x", "length")
    assert server.asked[0][0] == "/v1/completions"


def test_tool_calls_come_in_parts(server: Server) -> None:
    def part(**function: str) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": function}]}}]}

    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    server.behaviour = stream(part(name="f", arguments='{"a"'), part(arguments=": 1}"), end)
    done = upstream(server).run(CALL, Heard())
    assert isinstance(done, Generated)
    assert done.tool_calls == [{"name": "f", "arguments": {"a": 1}}]


def test_embeddings_in_the_order_of_the_texts(server: Server) -> None:
    rows = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]
    server.behaviour = send(200, {"data": rows, "usage": {"prompt_tokens": 5}})
    done = upstream(server).run(Embed(texts=["a", "b"]), Heard())
    assert isinstance(done, Embedded)
    assert np.array_equal(done.vectors, [[1, 2], [3, 4]])
    assert done.vectors.dtype == np.float32
    assert done.prompt_tokens == 5


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"message": "busy"}, OutOfCapacity),
        (503, {"message": "loading"}, OutOfCapacity),
        (408, {"message": "slow"}, InferenceTimeout),
        (404, {"message": "model?"}, NoSuchModel),
        (400, {"message": "bad field"}, InvalidInput),
        (400, {"message": "too long", "code": "context_length_exceeded"}, ContextTooLong),
        (401, {"message": "who?"}, EngineError),
        (500, {"message": "boom"}, EngineError),
    ],
)
def test_statuses_become_our_errors(
    server: Server, status: int, error: dict[str, str], kind: type[Exception]
) -> None:
    server.behaviour = send(status, {"error": error}, Retry_After="7")
    with pytest.raises(kind, match=error["message"].replace("?", ".")) as caught:
        upstream(server).run(CALL, Heard())
    assert type(caught.value) is kind
    if isinstance(caught.value, OutOfCapacity):
        assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    "behaviour",
    [
        send(200, b"<html>no stream</html>"),
        send(200, b"data: {broken\n\n"),
        send(200, b"data: [1]\n\n"),
        send(200, b"data: \xff\xfe\n\n"),
        stream(delta("half"), done=False),
        stream({"error": {"message": "out of memory"}}),
    ],
    ids=["html", "broken", "list", "bytes", "cut", "error"],
)
def test_a_server_that_breaks_off_is_an_error(server: Server, behaviour: Behaviour) -> None:
    server.behaviour = behaviour
    with pytest.raises(EngineError, match=r"@skerry/there"):
        upstream(server).run(CALL, Heard())


@pytest.mark.parametrize("value", [{}, {"data": []}, {"data": [{"index": 0}]}, [1]])
def test_odd_embeddings_are_an_error(server: Server, value: Any) -> None:
    server.behaviour = send(200, value)
    with pytest.raises(EngineError, match=r"did not send"):
        upstream(server).run(Embed(texts=["a"]), Heard())


def endless(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"data: " + msgspec.json.encode(delta("x")) + b"\n\n")
        threading.Event().wait(0.01)


def test_cancelling_closes_the_connection(server: Server) -> None:
    server.behaviour = endless
    sink = Heard(cancel_after=3)
    done = upstream(server).run(CALL, sink)
    assert isinstance(done, Generated)
    assert done.text.startswith("xxx")
    assert server.left.wait(10)


def test_cancelling_wakes_a_silent_read(server: Server) -> None:
    over = threading.Event()

    def silent(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"data: " + msgspec.json.encode(delta("x")) + b"\n\n")
        over.wait(30)

    server.behaviour = silent
    sink = Heard()
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(upstream(server).run(CALL, sink)))
    thread.start()
    assert sink.first.wait(10)
    sink.gone = True
    thread.join(10)
    over.set()
    assert got
    assert got[0].text == "x"


def test_silence_is_a_timeout(server: Server) -> None:
    over = threading.Event()

    def silent(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        over.wait(30)

    server.behaviour = silent
    with pytest.raises(InferenceTimeout, match=r"said nothing for 0.2 seconds"):
        upstream(server, timeout=0.2).run(CALL, Heard())
    over.set()


def test_nobody_there(server: Server) -> None:
    with pytest.raises(EngineError, match=r"connection to http://127\.0\.0\.1:1 failed"):
        upstream(server, url="http://127.0.0.1:1/v1").run(CALL, Heard())


def test_what_cannot_be_used_is_said_at_load(server: Server) -> None:
    with pytest.raises(EngineError, match=r"NO_SUCH_VARIABLE is not set"):
        upstream(server, key_env="NO_SUCH_VARIABLE")
    with pytest.raises(EngineError, match=r"base URL"):
        upstream(server, url="ftp://x")
