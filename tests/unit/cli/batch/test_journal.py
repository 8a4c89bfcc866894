"""What is remembered between runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.batch.journal import Answered, Claimed, Entry, JournalFile, Written, entries_of, line_of
from cli.batch.seal import Seal, SealedLines
from services.chassis.errors import InvalidRequest

SEAL = Seal(b"key", "folder 0-of-1")
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


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read(path: Path, kind: type[Entry] = Written) -> list[Entry]:
    with path.open("rb") as file:
        lines = SealedLines(file, SEAL, name="journal", longest_bytes=1000)
        return list(entries_of((fields for _, fields in lines), kind))


def test_entry_survives_with_every_odd_name(tmp_path: Path) -> None:
    line = line_of(ENTRY, SEAL)
    assert line.count(b"\n") == 1
    assert line.isascii()
    (tmp_path / "journal").write_bytes(line)
    assert read(tmp_path / "journal") == [ENTRY]


def test_other_kinds_of_line_and_torn_ones_are_passed_over(tmp_path: Path) -> None:
    whole = line_of(ENTRY, SEAL)
    lines = [line_of(Claimed(claimed=["a"]), SEAL), b"\n", b"null\n", b"\xff\xfe\n", whole, whole[: len(whole) // 2]]
    (tmp_path / "journal").write_bytes(b"".join(lines))
    assert read(tmp_path / "journal") == [ENTRY]
    assert read(tmp_path / "journal", Answered) == []


@pytest.mark.parametrize("kept", range(1, len(line_of(ENTRY, SEAL)), 17))
def test_torn_last_line_does_not_swallow_the_next(tmp_path: Path, folder: int, kept: int) -> None:
    path = tmp_path / "journal"
    path.write_bytes(line_of(ENTRY, SEAL) + line_of(ENTRY, SEAL)[:kept])
    journal = JournalFile(path, SEAL, folder=folder)
    second = replace(ENTRY, path="second")
    journal.append(second)
    journal.close()
    assert read(path) == [ENTRY, second]


def test_second_run_at_the_same_time_is_refused_and_a_later_one_is_not(tmp_path: Path, folder: int) -> None:
    path = tmp_path / "journal"
    first = JournalFile(path, SEAL, folder=folder)
    with pytest.raises(InvalidRequest, match="another run"):
        JournalFile(path, SEAL, folder=folder)
    first.close()
    JournalFile(path, SEAL, folder=folder).close()


@pytest.mark.parametrize("trap", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_journal_that_is_a_link_to_another_file_is_not_written_to(
    tmp_path: Path, folder: int, trap: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "profile").write_bytes(b"umask 077")
    trap(tmp_path / "profile", tmp_path / "journal")
    with pytest.raises(InvalidRequest, match="no run of Facet made it"):
        JournalFile(tmp_path / "journal", SEAL, folder=folder)
    assert (tmp_path / "profile").read_bytes() == b"umask 077"


def test_journal_that_leads_nowhere_or_is_a_pipe_is_refused(tmp_path: Path, folder: int) -> None:
    (tmp_path / "new").symlink_to(tmp_path / "made by the link")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("new", "pipe", "folder"):
        with pytest.raises(InvalidRequest, match="no run of Facet made it"):
            JournalFile(tmp_path / name, SEAL, folder=folder)
    assert not (tmp_path / "made by the link").exists()


def test_journal_that_others_may_read_becomes_this_users_alone(tmp_path: Path, folder: int) -> None:
    (tmp_path / "journal").touch(0o644)
    JournalFile(tmp_path / "journal", SEAL, folder=folder).close()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
