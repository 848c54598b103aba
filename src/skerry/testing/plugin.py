"""The pytest plugin: fixtures `skerry`, `ai_recorder`, `skerry_settings`; option --skerry-record.

pytest loads this file with every run of every project, so that it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from skerry.testing.node import LocalNode
    from skerry.testing.recorder import Recorder

MODES = ("once", "none", "all")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--skerry-record."""
    parser.getgroup("skerry").addoption(
        "--skerry-record",
        choices=MODES,
        default="once",
        help="What ai_recorder does: once, ask models what is not recorded yet and record it"
        " (the default); none, never ask a model; all, record everything anew.",
    )


@pytest.fixture(scope="session")
def skerry_settings() -> dict[str, Any]:
    """Settings of the node for tests, by name; a project's conftest.py may have its own."""
    return {}


@pytest.fixture(scope="session")
def skerry(
    skerry_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalNode]:
    """A node for the whole run: `skerry.start(path)` runs a project on it."""
    from skerry.settings import load
    from skerry.testing.node import LocalNode

    own = load()
    tools = own.tools or own.data_dir / "tools"
    data = tmp_path_factory.mktemp("skerry")
    chosen: dict[str, Any] = {"data_dir": data, "tools": tools, "standins": True, "port": 0}
    with LocalNode(load(None, None, **(chosen | skerry_settings))) as node:
        yield node


@pytest.fixture
def ai_recorder(request: pytest.FixtureRequest, skerry: LocalNode) -> Iterator[Recorder]:
    """Answers of models come from the cassette beside the test file, NAME.cassette.json."""
    from skerry.testing.cassette import Cassette

    path = Path(request.path)
    cassette = Cassette(path.with_name(f"{path.stem}.cassette.json"))
    with skerry.recorder.using(cassette, request.config.getoption("--skerry-record")) as recorder:
        yield recorder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test that asked for what is not recorded fails with the sentence that says so."""
    try:
        result = yield
    except Exception as error:
        for sentence in _missing(item):
            error.add_note(sentence)
        raise
    missing = _missing(item)
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)
    return result


def _missing(item: pytest.Item) -> list[str]:
    recorder = getattr(item, "funcargs", {}).get("ai_recorder")
    return [] if recorder is None else list(recorder.missing)
