"""examples/cached-sentiment."""

from __future__ import annotations

import json

import pytest

from skerry.testing import RunningProject

from .conftest import Example

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture
def project(example: Example) -> RunningProject:
    project = example("cached-sentiment")
    project.kv("CACHE").clear()
    return project


def test_a_text_is_judged_once(project: RunningProject) -> None:
    first = project.fetch("/", data="We loved the garden.")
    again = project.fetch("/", data="We loved the garden.")
    other = project.fetch("/", data="The lift was broken, and nobody cared.")
    assert [each.headers["X-Cache"] for each in (first, again, other)] == ["MISS", "HIT", "MISS"]
    assert first.json()["tone"] == "positive"
    assert again.body == first.body
    assert other.json()["tone"] == "negative"

    kept = project.kv("CACHE")
    project.until(lambda: len(kept.keys("tone:")) == 2)
    assert json.loads(first.body) in [kept.json(key) for key in kept.keys()]  # noqa: SIM118


def test_nothing_is_kept_of_what_is_refused(project: RunningProject) -> None:
    for reply in (
        project.fetch("/"),
        project.fetch("/", data=" "),
        project.fetch("/", data="x" * 2001),
    ):
        assert reply.status == 400
    assert project.kv("CACHE").keys() == []
