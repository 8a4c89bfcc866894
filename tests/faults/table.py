"""The table of what happened: a row a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tests.faults.callers import Callers, Verdict

PROPERTY = "fault"
HEADINGS = (
    "fault",
    "requests",
    "failed",
    "last failed after, s",
    "longest, s",
    "wrong",
    "let through",
    "back after, s",
)
Row = tuple[str, ...]


class Tell(Protocol):
    """Records a row."""

    def __call__(self, fault: str, callers: Callers, *, since_s: float, back_s: float) -> None:
        """Of the callers' requests.

        Args:
            fault: What it was.
            callers: Who have met it.
            since_s: When it began, by `time.monotonic`.
            back_s: How long after its end the replicas that it hurt bore load again.
        """
        ...


def row(fault: str, callers: Callers, *, since_s: float, back_s: float) -> Row:
    """As `Tell` takes it."""
    refused = callers.refused()
    verdicts = [outcome.verdict for outcome in callers.outcomes]
    return (
        fault,
        str(len(verdicts)),
        f"{len(refused)} ({callers.statuses()})" if refused else "0",
        f"{max(one.ended_s for one in refused) - since_s:.1f}" if refused else "",
        f"{callers.longest_s():.1f}",
        str(verdicts.count(Verdict.WRONG)),
        str(verdicts.count(Verdict.LET_THROUGH)),
        f"{back_s:.1f}",
    )


def lines(rows: Sequence[Row]) -> list[str]:
    """The table as text."""
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    return ["  ".join((line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:]))) for line in (HEADINGS, *rows)]
