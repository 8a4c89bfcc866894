"""What became of all files, as CSV or JSON for machines and in a few lines for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from cli.batch.local_files import replace_file
from cli.batch.outcomes import Outcome, Status
from cli.batch.tables import csv_line
from services.chassis.errors import InvalidRequest


@dataclass(slots=True, kw_only=True)
class Tally:
    """The rows of a run, as they come."""

    outcomes: list[Outcome] = field(default_factory=list)
    earlier: int = 0
    """How many of them are the work of earlier runs."""
    seconds: float = 0.0
    notices: list[str] = field(default_factory=list)
    """What to know of the destination, for people."""

    def in_order(self) -> list[Outcome]:
        """By path, so that two runs over the same files tell the same."""
        return sorted(self.outcomes, key=lambda outcome: outcome.path)

    def count(self, status: Status) -> int:
        """How many files fared so."""
        return sum(outcome.status is status for outcome in self.outcomes)

    def without_faces(self) -> list[Outcome]:
        """The pictures that were treated and in which no face was found, in order."""
        return [outcome for outcome in self.in_order() if outcome.status is Status.DONE and not outcome.faces]

    @property
    def clean(self) -> bool:
        """Whether nothing was refused and nothing failed."""
        return not any(outcome.status in {Status.REFUSED, Status.FAILED} for outcome in self.outcomes)

    def summary(self) -> dict[str, object]:
        """The figures, for machines."""
        counted = Counter(outcome.status for outcome in self.outcomes)
        return {
            "pictures": len(self.outcomes) - counted[Status.SKIPPED],
            **{str(status): counted[status] for status in Status},
            "faces": sum(outcome.faces for outcome in self.outcomes),
            "models": sorted({outcome.model for outcome in self.outcomes if outcome.model}),
            "seconds": round(self.seconds, 1),
        }


def as_json(tally: Tally) -> bytes:
    """The figures and a row a file; undecodable bytes of a name are escaped surrogates, as of Python's os.fsdecode."""
    document = {"summary": tally.summary(), "files": [asdict(outcome) for outcome in tally.in_order()]}
    return json.dumps(document, indent=1).encode() + b"\n"


def as_csv(tally: Tally) -> bytes:
    """A row a file under a heading; undecodable bytes of a name are escaped."""
    columns = [column.name for column in fields(Outcome)]
    rows = [columns, *([getattr(outcome, column) for column in columns] for outcome in tally.in_order())]
    return "".join(csv_line(row, end="\r\n") for row in rows).encode(errors="backslashreplace")


_FORMATS: dict[str, Callable[[Tally], bytes]] = {".json": as_json, ".csv": as_csv}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFile:
    """Where the report goes."""

    path: Path

    def __post_init__(self) -> None:
        """Refuses a file that is none.

        Raises:
            InvalidRequest: The suffix names no format.
        """
        if self.path.suffix not in _FORMATS:
            raise InvalidRequest(f"--report {self.path}: a report is a .csv or a .json file")

    def write(self, tally: Tally) -> None:
        """Writes it, over that of an earlier run.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self.path, _FORMATS[self.path.suffix](tally))


def problems(outcomes: Iterable[Outcome]) -> Sequence[Outcome]:
    """What was refused or failed."""
    return [outcome for outcome in outcomes if outcome.status in {Status.REFUSED, Status.FAILED}]
