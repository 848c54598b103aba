"""examples/property-questions."""

from __future__ import annotations

import pytest

from skerry.testing import RunningProject

from .conftest import Example

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture
def project(example: Example) -> RunningProject:
    project = example("property-questions")
    project.kv("ANSWERS").clear()
    return project


def test_facts_come_from_the_database(project: RunningProject) -> None:
    rows = project.fetch("/properties?city=Bergen").json()
    assert [row["id"] for row in rows] == ["tower-17", "harbour-9"]
    assert len(project.fetch("/properties").json()) == 3
    assert project.fetch("/properties/mill-2").json()["rent"] == 2100
    project.d1("DB").execute("UPDATE properties SET rent = ? WHERE id = ?", 1999, "mill-2")
    assert project.fetch("/properties/mill-2").json()["rent"] == 1999


def test_a_question_is_answered_once(project: RunningProject) -> None:
    where = "/properties/harbour-9/questions"
    first = project.fetch(where, json={"question": "May I bring my dog?"}).json()
    assert first["from"] == "model"
    assert len(first["answer"]) > 5
    again = project.fetch(where, json={"question": "may i bring my dog?"}).json()
    assert again == first | {"from": "memory"}
    assert project.fetch(where).json() == ["May I bring my dog?"]
    assert project.kv("ANSWERS").keys() == ["harbour-9:may i bring my dog?"]
    assert project.fetch("/properties/mill-2/questions").json() == []


def test_what_is_wrong_is_said(project: RunningProject) -> None:
    reply = project.fetch("/properties/nope/questions", json={"question": "Why?"})
    assert (reply.status, reply.json()) == (404, {"error": "There is no property nope."})
    for body in ({"question": " "}, {"question": 1}, {}, {"question": "x" * 301}):
        assert project.fetch("/properties/mill-2/questions", json=body).status == 400
    assert project.fetch("/properties/mill-2/questions", data="{").status == 400
    assert project.fetch("/").status == 404
