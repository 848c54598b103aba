"""examples/property-analysis and its counterpart in Python."""

from __future__ import annotations

from typing import Any

import pytest

from skerry.testing import Reply, RunningProject

from .conftest import EXAMPLES, Example
from .forms import form

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

PHOTO = (EXAMPLES / "property_listing" / "photo.jpg").read_bytes()
LOVELY = "A lovely, bright house with three bedrooms, wifi, a garden and a wonderful view."
DREADFUL = "A dreadful, dark and noisy flat that nobody should rent. The kitchen is broken."


@pytest.fixture(params=["property-analysis", "property-analysis-python"])
def project(request: pytest.FixtureRequest, example: Example) -> RunningProject:
    return example(request.param)


def post(project: RunningProject, description: str, photos: dict[str, bytes]) -> Reply:
    data, headers = form({"description": description}, photos)
    return project.fetch("/", data=data, headers=headers)


def analysis(project: RunningProject, description: str, photos: dict[str, bytes]) -> Any:
    reply = post(project, description, photos)
    assert reply.status == 200, reply.text
    return reply.json()


def test_three_models_look_at_a_listing_and_its_photos(project: RunningProject) -> None:
    found = analysis(project, LOVELY, {"front.jpg": PHOTO, "back.jpg": PHOTO})
    assert found["tone"] > 0.9
    assert isinstance(found["features"]["bedrooms"], int)
    assert all(isinstance(each, str) for each in found["features"]["amenities"])
    assert [each["name"] for each in found["pictures"]] == ["front.jpg", "back.jpg"]
    assert all("palace" in each["shows"] for each in found["pictures"])


def test_a_bad_listing_sounds_bad(project: RunningProject) -> None:
    found = analysis(project, DREADFUL, {})
    assert found["tone"] < 0.2
    assert found["pictures"] == []


def test_what_cannot_be_analysed_is_refused_with_the_reason(project: RunningProject) -> None:
    reply = post(project, " ", {})
    assert (reply.status, reply.json()) == (400, {"error": "The form needs a field `description`."})
    assert project.fetch("/").status == 405
    assert project.fetch("/", data="not a form").status == 400
    assert post(project, LOVELY, {f"{number}.jpg": b"x" for number in range(9)}).status == 413
    broken = post(project, LOVELY, {"broken.jpg": b"no picture"})
    assert broken.status == 502
    assert "5004" in broken.json()["error"]
