"""A file is read again when it has changed, and what was read before stays where that fails."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from services.chassis.errors import InvalidRequest
from services.chassis.process import reloaded_files
from services.chassis.process.reloaded_files import MAX_BYTES, ReloadedFiles


def parse(content: bytes, source: str) -> str:
    if content.startswith(b"bad"):
        raise InvalidRequest(f"{source} is bad")
    if content.startswith(b"fault"):
        raise ZeroDivisionError
    return content.decode()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has files count as written as soon as they are."""
    monkeypatch.setattr(reloaded_files, "SETTLE_S", 0.0)


def reloading(path: Path, content: str = "one") -> ReloadedFiles[str]:
    path.write_text(content)
    return ReloadedFiles.of_one(path, parse)


def test_change_in_place_is_read_once_it_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    now_s = [path.stat().st_ctime]
    file = ReloadedFiles([path], path.read_text, settle_s=60, clock=lambda: now_s[0])
    path.write_text("two, beg")
    assert file.current() == "one"
    path.write_text("two, begun and done")
    assert file.current() == "one"
    now_s[0] = path.stat().st_ctime + 61
    assert file.current() == "two, begun and done"


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_clock_that_was_set_keeps_no_change_from_being_read(tmp_path: Path, ahead_s: int) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    file = ReloadedFiles([path], path.read_text, settle_s=60, clock=lambda: time.time() + ahead_s)
    path.write_text("two")
    assert file.current() == "two"


@pytest.mark.usefixtures("settled")
def test_swapped_link_is_followed_as_kubernetes_swaps_secrets(tmp_path: Path) -> None:
    for version, content in (("v1", "one"), ("v2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(content)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "file").symlink_to("..data/file")
    file = ReloadedFiles.of_one(tmp_path / "file", parse)
    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert file.current() == "two"


@pytest.mark.usefixtures("settled")
def test_file_of_the_same_size_and_time_in_its_place_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = reloading(path)
    state = path.stat()
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert file.current() == "two"


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("content", ["bad", "fault", "x" * (MAX_BYTES + 1), None])
def test_change_that_cannot_be_read_keeps_what_was_read_before_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    path = tmp_path / "file"
    file = reloading(path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert file.current() == "one"
    assert file.current() == "one"
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.ERROR, "files not reloaded")]
    path.write_text("three")
    assert file.current() == "three"


@pytest.mark.usefixtures("settled")
def test_unchanged_file_is_not_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    reloading(tmp_path / "file").current()
    assert caplog.records == []


@pytest.mark.usefixtures("settled")
def test_change_after_one_that_cannot_be_read_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = reloading(path)
    path.write_text("fault")
    assert file.current() == "one"
    path.write_text("two")
    assert file.current() == "two"
