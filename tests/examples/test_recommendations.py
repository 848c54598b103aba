"""examples/recommendations."""

from __future__ import annotations

import pytest

from skerry.testing import RunningProject

from .conftest import Example

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

WISHES = "A quiet home with a garden near a park for a family with children."


@pytest.fixture
def project(example: Example) -> RunningProject:
    project = example("recommendations")
    project.d1("DB").reset()
    project.kv("WISHES").clear()
    return project


def recommended(project: RunningProject, user: str, city: str = "Aarhus") -> dict[str, float]:
    reply = project.fetch(f"/users/{user}/recommendations?city={city}")
    assert reply.status == 200, reply.text
    found = reply.json()["recommendations"]
    assert all(each["reason"] for each in found)
    return {each["id"]: each["score"] for each in found}


def interact(project: RunningProject, user: str, name: str, kind: str) -> None:
    body = {"property": name, "kind": kind}
    assert project.fetch(f"/users/{user}/interactions", json=body).status == 204


def test_an_interaction_changes_the_very_next_answer(project: RunningProject) -> None:
    assert project.fetch("/users/ann/wishes", method="PUT", data=WISHES).status == 204
    assert project.fetch("/users/bob/wishes", method="PUT", data=WISHES).status == 204
    first = recommended(project, "ann")
    assert next(iter(first)) == "garden-house"
    assert all(score > 0.7 for score in first.values())
    assert "harbour-loft" not in first

    interact(project, "ann", "harbour-loft", "saved")
    assert "harbour-loft" in recommended(project, "ann")
    interact(project, "ann", "garden-house", "dismissed")
    assert "garden-house" not in recommended(project, "ann")

    assert recommended(project, "bob") == first  # what ann does is hers
    rows = project.d1("DB").execute("SELECT property, kind FROM interactions ORDER BY property")
    assert [tuple(row.values()) for row in rows] == [
        ("garden-house", "dismissed"),
        ("harbour-loft", "saved"),
    ]
    assert recommended(project, "bob", city="Nowhere") == {}


def test_what_is_wrong_is_said(project: RunningProject) -> None:
    reply = project.fetch("/users/eve/recommendations")
    assert reply.status == 404
    assert "PUT /users/eve/wishes" in reply.json()["error"]
    assert project.fetch("/users/eve/wishes", method="PUT", data=" ").status == 400
    body = {"property": "nope", "kind": "saved"}
    assert project.fetch("/users/eve/interactions", json=body).status == 404
    assert project.fetch("/users/eve/interactions", json={"kind": "stolen"}).status == 400
    assert project.fetch("/users/eve/interactions", data="{").status == 400
    assert project.fetch("/elsewhere").status == 404
