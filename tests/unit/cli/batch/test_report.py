"""What is told of a run."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from cli.batch.outcomes import Outcome, Status
from cli.batch.report import ReportFile, Tally
from services.chassis.errors import InvalidRequest

ODD = os.fsdecode(b'\xff,"\n.jpg')
TALLY = Tally(
    outcomes=[
        Outcome(path="b", status=Status.DONE, faces=3, model="m@1", output="b"),
        Outcome(path=ODD, status=Status.REFUSED, reason="TOO_LARGE", message="too large"),
        Outcome(path="=1+1", status=Status.SKIPPED, reason="HIDDEN"),
        Outcome(path="a", status=Status.FAILED, reason="INPUT_OUTPUT", message="gone"),
    ],
    seconds=1.26,
)


def test_json_tells_figures_and_every_file_in_order(tmp_path: Path) -> None:
    ReportFile(path=tmp_path / "new" / "report.json").write(TALLY)
    report = json.loads((tmp_path / "new" / "report.json").read_bytes())
    assert report["summary"] == {
        "pictures": 3,
        "done": 1,
        "refused": 1,
        "failed": 1,
        "skipped": 1,
        "faces": 3,
        "models": ["m@1"],
        "seconds": 1.3,
    }
    assert [row["path"] for row in report["files"]] == sorted(["a", "b", "=1+1", ODD])


def test_csv_is_utf8_and_no_name_is_a_formula(tmp_path: Path) -> None:
    file = ReportFile(path=tmp_path / "report.csv")
    file.write(TALLY)
    file.write(TALLY)  # over the one of an earlier run
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text("utf-8"), newline="")))
    assert [row["path"] for row in rows] == ["'=1+1", "a", "b", '\\udcff,"\n.jpg']
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


@pytest.mark.parametrize("name", ["report", "report.txt", "photo.jpg"])
def test_other_files_are_not_overwritten_by_a_report(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"csv or a \.json"):
        ReportFile(path=Path(name))


def test_skipped_files_leave_a_run_clean_and_others_do_not() -> None:
    assert Tally(outcomes=[Outcome(path="a", status=Status.SKIPPED)]).clean
    assert not TALLY.clean
