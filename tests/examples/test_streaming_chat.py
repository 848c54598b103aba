"""examples/streaming-chat."""

from __future__ import annotations

import json

import pytest

from skerry.testing import RunningProject

from .conftest import Example

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

QUESTION = {"messages": [{"role": "user", "content": "What is good about a garden?"}]}


@pytest.fixture
def project(example: Example) -> RunningProject:
    return example("streaming-chat")


def test_the_answer_comes_in_pieces(project: RunningProject) -> None:
    reply = project.fetch("/api/chat", json=QUESTION)
    assert reply.headers["content-type"] == "text/event-stream"
    *pieces, end = reply.events()
    assert end == "[DONE]"
    assert len(pieces) > 5
    assert len("".join(json.loads(piece).get("response") or "" for piece in pieces)) > 20


def test_the_page_is_there(project: RunningProject) -> None:
    page = project.fetch("/")
    assert page.headers["content-type"].startswith("text/html")
    for name in ("/chat.js", "/style.css"):
        assert name in page.text
        assert project.fetch(name).status == 200


def test_what_is_no_conversation_is_refused(project: RunningProject) -> None:
    assistant = {"role": "assistant", "content": "Hello"}
    bodies: list[object] = [
        {},
        {"messages": []},
        {"messages": [assistant]},
        {"messages": [None]},
        [],
    ]
    for body in bodies:
        assert project.fetch("/api/chat", json=body).status == 400, body
    assert project.fetch("/api/chat").status == 405
    assert project.fetch("/api/elsewhere").status == 404
