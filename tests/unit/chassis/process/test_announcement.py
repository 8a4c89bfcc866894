"""Announcements: through a pipe that is inherited, lost rather than waited for, and for nobody else."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.process import announcement
from services.chassis.process.announcement import Announcement, Announcer, State

READY = Announcement(state=State.READY)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its read end and its write end."""
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for descriptor in (read_end, write_end):
        try:
            os.close(descriptor)
        except OSError:  # the test has closed it
            continue


def inherited(monkeypatch: pytest.MonkeyPatch, value: str) -> Announcer:
    monkeypatch.setenv(announcement.VARIABLE, value)
    return Announcer.inherited()


def test_each_state_is_a_line_of_json(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    announcer = inherited(monkeypatch, str(pipe[1]))
    announcer.announce(Announcement(state=State.LISTENING, port=1, health_port=2, metrics_port=3))
    announcer.announce(Announcement.not_ready("no weights"))
    announcer.announce(READY)
    lines = os.read(pipe[0], select.PIPE_BUF).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"state": "listening", "port": 1, "health_port": 2, "metrics_port": 3},
        {"state": "not ready", "reason": "no weights"},
        {"state": "ready"},
    ]
    assert [heard.state for heard in map(Announcement.parse, lines) if heard is not None] == list(State)


def test_without_the_variable_nothing_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(announcement.VARIABLE, raising=False)
    Announcer.inherited().announce(READY)


def test_children_get_neither_the_variable_nor_the_pipe(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    os.set_inheritable(pipe[1], True)
    inherited(monkeypatch, str(pipe[1]))
    assert announcement.VARIABLE not in os.environ
    code = f"import os, sys; sys.exit(os.path.exists('/proc/self/fd/{pipe[1]}'))"
    assert subprocess.run([sys.executable, "-c", code], close_fds=False, check=False).returncode == 0


def test_reader_that_has_gone_is_no_fault(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    announcer = inherited(monkeypatch, str(pipe[1]))
    os.close(pipe[0])
    announcer.announce(READY)


def test_reader_that_does_not_read_holds_nothing_up_and_gets_whole_lines(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    announcer = inherited(monkeypatch, str(pipe[1]))
    for _ in range(200):
        announcer.announce(Announcement.not_ready("x" * 1000))
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0]), "rb") as lines:
        heard = [Announcement.parse(line) for line in lines]
    assert 0 < len(heard) < 200
    assert None not in heard


@pytest.mark.parametrize("reason", ["x" * 10_000, "\N{GRINNING FACE}" * 10_000, "\0" * 10_000, "a path: \udcff"])
def test_any_reason_fits_into_one_line(reason: str) -> None:
    line = Announcement.not_ready(reason).line()
    assert len(line) <= select.PIPE_BUF
    assert line.count(b"\n") == 1
    heard = Announcement.parse(line)
    assert heard is not None
    assert heard.reason
    assert heard.reason[0] == reason[0]


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"no json", b"{}", b'{"state": "asleep"}', b'{"state": "ready", "port": "x"}']
)
def test_line_that_is_no_announcement_is_none(line: bytes) -> None:
    assert Announcement.parse(line) is None


@pytest.mark.parametrize("value", ["pipe", "-1", "1", "2", "999", "99999999999999999999"])
def test_descriptor_that_is_none_is_told_once_and_no_fault(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    announcer = inherited(monkeypatch, value)
    announcer.announce(READY)
    announcer.announce(READY)
    assert caplog.messages == [
        f"FACET_ANNOUNCE_FD: {value!r} is not the descriptor of an open pipe; nothing is announced"
    ]


def test_nothing_but_a_pipe_is_written_to(
    tmp_path: Path, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left, right = socket.socketpair()
    with (tmp_path / "file").open("wb") as file, left, right:
        for descriptor in (file.fileno(), left.fileno(), pipe[0]):
            inherited(monkeypatch, str(descriptor)).announce(READY)
            assert os.get_blocking(descriptor)
    assert (tmp_path / "file").stat().st_size == 0
    assert len(caplog.messages) == 3
