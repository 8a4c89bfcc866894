"""A watched file is read again when it changes, and what was read before stays where that fails."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from gateway.identity import watched_file
from gateway.identity.watched_file import MAX_BYTES, WatchedFile
from services.chassis.errors import InvalidRequest
from tests.support.waiting import eventually


def parse(content: bytes, source: str) -> str:
    if content.startswith(b"bad"):
        raise InvalidRequest(f"{source} is bad")
    if content.startswith(b"fault"):
        raise ZeroDivisionError
    return content.decode()


def watched(path: Path, content: str = "one") -> WatchedFile[str]:
    path.write_text(content)
    return WatchedFile(path, parse)


def look_until_settled(file: WatchedFile[str]) -> str:
    file.look()
    file.look()
    return file.content


def test_change_in_place_is_read_once_it_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = watched(path)
    path.write_text("two, beg")
    file.look()
    path.write_text("two, begun and done")
    file.look()
    assert file.content == "one"
    file.look()
    assert file.content == "two, begun and done"


def test_swapped_link_is_followed_as_kubernetes_swaps_secrets(tmp_path: Path) -> None:
    for version, content in (("v1", "one"), ("v2", "two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "file").write_text(content)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "file").symlink_to("..data/file")
    file = WatchedFile(tmp_path / "file", parse)
    (tmp_path / "..data_tmp").symlink_to("v2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert look_until_settled(file) == "two"


def test_file_of_the_same_size_and_time_in_its_place_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = watched(path)
    state = path.stat()
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert look_until_settled(file) == "two"


@pytest.mark.parametrize("content", ["bad", "fault", "x" * (MAX_BYTES + 1), None])
def test_change_that_cannot_be_read_keeps_what_was_read_before_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    path = tmp_path / "file"
    file = watched(path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert look_until_settled(file) == "one"
    assert look_until_settled(file) == "one"
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.ERROR, "file not reloaded")]
    path.write_text("three")
    assert look_until_settled(file) == "three"


def test_unchanged_file_is_not_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    look_until_settled(watched(tmp_path / "file"))
    assert caplog.records == []


async def test_watch_goes_on_after_a_change_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_file, "LOOK_EVERY_S", 0.01)
    path = tmp_path / "file"
    file = watched(path)
    watching = asyncio.create_task(file.watch())
    path.write_text("fault")
    await asyncio.sleep(0.1)
    path.write_text("two")
    await asyncio.to_thread(eventually, lambda: file.content == "two")
    watching.cancel()
