"""The file of the audit log goes on after moves, crashes and failed writes, and belongs to one process."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.audit.chain import NO_HASH, Line, read_line
from gateway.audit.file import AuditFile
from gateway.audit.verification import verify
from services.chassis.errors import InvalidRequest

ENTRY = {"event": "call", "operation": "detect"}


@contextmanager
def opened(path: Path) -> Iterator[AuditFile]:
    file = AuditFile(path, "gateway-0")
    try:
        yield file
    finally:
        file.close()


@contextmanager
def no_larger_than(size_bytes: int) -> Iterator[None]:
    """As if the disk were full: no file of this process may grow beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lines_of(path: Path) -> list[Line]:
    lines = [read_line(line) for line in path.read_bytes().splitlines()]
    assert None not in lines
    return [line for line in lines if line is not None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_lines_are_numbered_and_carry_the_hash_of_the_line_before(path: Path) -> None:
    with opened(path) as file:
        anchors = [*file.append([ENTRY, ENTRY]), *file.append([ENTRY])]
    lines = lines_of(path)
    assert [line.anchor for line in lines] == anchors
    assert [line.anchor.seq for line in lines] == [1, 2, 3]
    assert [line.prev for line in lines] == [NO_HASH, anchors[0].hash, anchors[1].hash]
    assert lines[0].fields.items() >= {"instance": "gateway-0", **ENTRY}.items()
    assert str(lines[0].fields["time"]).endswith("+00:00")


def test_only_its_owner_may_read_it(path: Path) -> None:
    with opened(path) as file:
        file.append([ENTRY])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_second_process_is_refused_until_the_first_has_closed(path: Path) -> None:
    with opened(path), pytest.raises(InvalidRequest, match="in use by another process"):
        AuditFile(path, "gateway-1")
    AuditFile(path, "gateway-1").close()


def test_restart_goes_on_with_the_last_line(path: Path) -> None:
    for _ in range(3):
        with opened(path) as file:
            file.append([ENTRY])
    assert [line.anchor.seq for line in lines_of(path)] == [1, 2, 3]
    assert verify([path]).notices == []


@pytest.mark.parametrize("made_anew", [False, True])
def test_moved_file_is_left_alone_and_a_new_one_goes_on(path: Path, tmp_path: Path, *, made_anew: bool) -> None:
    moved = tmp_path / "audit.jsonl.1"
    with opened(path) as file:
        file.append([ENTRY])
        path.rename(moved)
        if made_anew:
            path.touch()
        old = moved.read_bytes()
        file.append([ENTRY])
    assert moved.read_bytes() == old
    assert lines_of(path)[0].prev == lines_of(moved)[0].anchor.hash
    assert verify([moved, path]).last == lines_of(path)[0].anchor


def test_copied_and_emptied_file_goes_on(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "audit.jsonl.1"
    with opened(path) as file:
        file.append([ENTRY, ENTRY])
        copy.write_bytes(path.read_bytes())
        os.truncate(path, 0)
        file.append([ENTRY])
    verified = verify([copy, path])
    assert verified.last is not None
    assert verified.last.seq == 3


@pytest.mark.parametrize("kept", [1, 100, -2])
def test_line_that_a_crash_cut_off_is_kept_and_marked(path: Path, kept: int) -> None:
    with opened(path) as file:
        file.append([ENTRY, ENTRY, ENTRY])
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second + third[:kept])
    with opened(path) as file:
        file.append([ENTRY])
    assert path.read_bytes().startswith(first + second + third[:kept] + b"\n")
    verified = verify([path])
    assert verified.last is not None
    assert verified.last.seq == 4  # two, the mark, and the new one
    assert [notice for notice in verified.notices if "line 3: cut off by a crash, and marked" in notice]


def test_line_that_lacks_its_line_break_alone_is_taken_as_it_is(path: Path) -> None:
    with opened(path) as file:
        file.append([ENTRY, ENTRY])
    os.truncate(path, path.stat().st_size - 1)
    with opened(path) as file:
        file.append([ENTRY])
    assert [line.anchor.seq for line in lines_of(path)] == [1, 2, 3]
    assert verify([path]).notices == []


def test_first_line_of_all_may_be_cut_off_too(path: Path) -> None:
    path.write_bytes(b'{"seq":1,"ti')
    with opened(path) as file:
        file.append([ENTRY])
    assert len(verify([path]).notices) == 1


def test_write_that_fails_leaves_whole_lines_and_the_next_one_succeeds(path: Path) -> None:
    with opened(path) as file:
        file.append([ENTRY])
        before = path.read_bytes()
        with no_larger_than(len(before) + 10), pytest.raises(OSError, match="too large"):
            file.append([ENTRY, ENTRY])
        assert path.read_bytes() == before
        [anchor] = file.append([ENTRY])
    assert anchor.seq == 2
    assert verify([path]).notices == []


@pytest.mark.parametrize("content", [b"hello\n", b"\n", b'{"seq":1}\n'])
def test_file_that_is_no_audit_log_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="last line"):
        AuditFile(path, "gateway-0")
    assert path.read_bytes() == content
    path.unlink()
    AuditFile(path, "gateway-0").close()  # it was not kept locked


def test_what_is_no_ordinary_file_is_refused(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(InvalidRequest, match="not a regular file"):
        AuditFile(path, "gateway-0")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        AuditFile(tmp_path / "absent" / "audit.jsonl", "gateway-0")
