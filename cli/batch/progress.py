"""How a run goes, for a person at a terminal; silent where standard error is none."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli.batch.outcomes import Outcome, Status


class _Rate(ProgressColumn):
    """Pictures a second, over the last while."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class ProgressBar:
    """A bar with rate, time left and what did not work; a context manager."""

    def __init__(self, console: Console, total: int) -> None:
        """On a console that is no terminal, nothing is shown."""
        self._progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[problems]}[/]"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            expand=True,
        )
        self._problems = 0
        self._task = self._progress.add_task("", total=total, problems="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def settle(self, outcome: Outcome) -> None:
        """One more is settled."""
        self._problems += outcome.status in {Status.REFUSED, Status.FAILED}
        self._progress.update(self._task, advance=1, problems=f"{self._problems} not done" if self._problems else "")
