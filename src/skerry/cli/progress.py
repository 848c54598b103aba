"""Pulls as progress bars on stderr; without a terminal, a line now and then."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skerry.cli.output import err

if TYPE_CHECKING:
    from rich.progress import TaskID

    from skerry.catalog.progress import Progress


class PullBars(AbstractContextManager["PullBars"]):
    """Give it to a pull as its report."""

    STEP = 10
    """Percent between two lines where there is no terminal."""

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._console = err()
        self._bars = Progress(
            TextColumn("{task.fields[model]}"),
            TextColumn("[dim]{task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._lines: dict[tuple[str, str], TaskID] = {}
        self._told: dict[str, tuple[str, int]] = {}

    def __call__(self, report: Progress) -> None:
        if self._console.is_terminal:
            self._bar(report)
        else:
            self._line(report)

    def _bar(self, report: Progress) -> None:
        key = (report.model, report.artifact or report.phase)
        words = f"{report.phase} {report.artifact or ''}".strip()
        total = report.total if report.artifact else report.all_total
        done = report.done if report.artifact else report.all_done
        if report.phase == "done":
            for each in [each for each in self._lines if each[0] == report.model]:
                self._bars.remove_task(self._lines.pop(each))
            self._console.print(f"[green]✓[/] {report.model}")
            return
        line = self._lines.get(key)
        if line is None:
            line = self._bars.add_task(words, total=total, model=report.model)
            self._lines[key] = line
        self._bars.update(line, description=words, completed=done, total=total)

    def _line(self, report: Progress) -> None:
        percent = int(100 * (report.fraction or 0.0)) // self.STEP
        state = (report.phase, percent)
        if self._told.get(report.model) != state:
            self._told[report.model] = state
            self._console.print(f"{report.model}: {report}", markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()
