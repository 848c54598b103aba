"""The project that stands in for a Python worker that cannot be loaded."""

from __future__ import annotations

from pathlib import Path

from skerry.workers.project import Project

NOTICE = Path(__file__).with_name("runtime") / "notice.py"


def notice_project(project: Project, said: str) -> Project:
    """Answers every request with these words and the status 500."""
    return Project(
        root=NOTICE.parent, name=project.name, main=NOTICE, language="python", vars={"SAID": said}
    )
