"""What is remembered between runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.batch.journal import Answered, Claimed, JournalFile, Written, entries_in, line_of
from services.chassis.errors import InvalidRequest

ENTRY = Written(
    path=os.fsdecode(b"\xff\n\"'.jpg"),
    source="10-1",
    options="0123",
    output="a.jpg",
    size_bytes=3,
    mtime_ns=1,
    sha256="ab",
    faces=2,
    model="m@1",
    notice="",
)


def test_entry_survives_with_every_odd_name() -> None:
    line = line_of(ENTRY)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert list(entries_in([line], Written)) == [ENTRY]


def test_other_kinds_of_line_and_torn_ones_are_passed_over() -> None:
    whole = line_of(ENTRY)
    lines = [line_of(Claimed(claimed=["a"])), b"\n", b"null\n", b"\xff\xfe\n", whole, whole[: len(whole) // 2]]
    assert list(entries_in(lines, Written)) == [ENTRY]
    assert list(entries_in(lines, Answered)) == []


@pytest.mark.parametrize("kept", range(1, len(line_of(ENTRY)), 17))
def test_torn_last_line_does_not_swallow_the_next(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal"
    path.write_bytes(line_of(ENTRY) + line_of(ENTRY)[:kept])
    journal = JournalFile(path)
    second = replace(ENTRY, path="second")
    journal.append(second)
    journal.close()
    assert list(entries_in(path.read_bytes().splitlines(), Written)) == [ENTRY, second]


def test_second_run_at_the_same_time_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    first = JournalFile(tmp_path / "journal")
    with pytest.raises(InvalidRequest, match="another run"):
        JournalFile(tmp_path / "journal")
    first.close()
    JournalFile(tmp_path / "journal").close()
