"""A folder as a destination: what counts as done, what is in the way, how results get there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.batch import local_destination
from gateway.batch.journal import JournalFile, Written
from gateway.batch.local_destination import InPlace, LocalFolder
from gateway.batch.local_sources import LocalFile
from gateway.batch.outcomes import Changed, NameTaken
from gateway.batch.shards import WHOLE
from services.chassis.errors import InvalidRequest

SOURCE = LocalFile(path="sub/a.jpg", location="/nowhere", version="7-1", identity=(0, 0))
OPTIONS = "options"


def result(content: bytes = b"hidden", options: str = OPTIONS) -> Written:
    return Written(
        path=SOURCE.path,
        source=SOURCE.version,
        options=options,
        output=SOURCE.path,
        size_bytes=len(content),
        mtime_ns=0,
        sha256=hashlib.sha256(content).hexdigest(),
        faces=1,
        model="m@1",
        notice="",
    )


def written(root: Path, content: bytes = b"hidden", options: str = OPTIONS) -> None:
    with LocalFolder(root, WHOLE) as folder:
        folder.write(result(content, options), content)


def is_done(root: Path, options: str = OPTIONS, version: str = SOURCE.version) -> bool:
    with LocalFolder(root, WHOLE) as folder:
        return folder.finished(replace(SOURCE, version=version), options) is not None


def test_written_result_is_done_and_taken_for_its_own(tmp_path: Path) -> None:
    assert not is_done(tmp_path)
    written(tmp_path)
    assert (tmp_path / "sub/a.jpg").read_bytes() == b"hidden"
    assert is_done(tmp_path)
    with LocalFolder(tmp_path, WHOLE) as folder:
        assert not folder.is_taken("sub/a.jpg")


@pytest.mark.parametrize(
    "disturb",
    [
        Path.unlink,
        lambda path: path.write_bytes(b"HIDDEN"),
        lambda path: path.write_bytes(b""),
    ],
    ids=["gone", "other content", "emptied"],
)
def test_result_that_is_not_there_as_it_was_is_not_done(tmp_path: Path, disturb: Callable[[Path], object]) -> None:
    written(tmp_path)
    disturb(tmp_path / "sub/a.jpg")
    assert not is_done(tmp_path)


def test_other_options_or_another_version_of_the_source_are_not_done(tmp_path: Path) -> None:
    written(tmp_path)
    assert not is_done(tmp_path, options="others")
    assert not is_done(tmp_path, version="7-2")


def test_result_of_earlier_options_that_is_there_again_is_done(tmp_path: Path) -> None:
    written(tmp_path, b"with A", options="A")
    written(tmp_path, b"with B", options="B")
    assert not is_done(tmp_path, options="A")
    (tmp_path / "sub/a.jpg").write_bytes(b"with A")
    assert is_done(tmp_path, options="A")
    assert not is_done(tmp_path, options="B")


def test_copied_destination_with_other_times_is_still_done(tmp_path: Path) -> None:
    written(tmp_path)
    os.utime(tmp_path / "sub/a.jpg", (1, 1))
    assert is_done(tmp_path)


@pytest.mark.parametrize("step", ["append", "replace"])
def test_kill_at_any_step_leaves_the_old_result_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    written(tmp_path, b"before")
    with monkeypatch.context() as killed:

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        killed.setattr(*((JournalFile, "append", die) if step == "append" else (Path, "replace", die)))
        with pytest.raises(KeyboardInterrupt):
            written(tmp_path, b"after!", options="new")
    assert (tmp_path / "sub/a.jpg").read_bytes() == b"before"
    assert not is_done(tmp_path, options="new")
    with LocalFolder(tmp_path, WHOLE) as folder:
        assert not folder.is_taken("sub/a.jpg")
    written(tmp_path, b"after!", options="new")
    assert is_done(tmp_path, options="new")


def test_temporary_files_of_a_killed_run_are_cleared(tmp_path: Path) -> None:
    parts = tmp_path / ".facet" / "parts-0-of-1"
    parts.mkdir(parents=True)
    (parts / "0123").write_bytes(b"half")
    with LocalFolder(tmp_path, WHOLE):
        assert list(parts.iterdir()) == []
    assert not parts.exists()


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_destination, "write_durably", full)
    with LocalFolder(tmp_path, WHOLE) as folder:
        with pytest.raises(OSError, match="No space"):
            folder.write(result(), b"hidden")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / ".facet/journal-0-of-1.jsonl"]


def test_what_no_run_has_written_is_taken(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.jpg").symlink_to("broken")
    with LocalFolder(tmp_path, WHOLE) as folder:
        assert folder.is_taken("sub/a.jpg")
        assert not folder.is_taken("sub/b.jpg")


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_output_that_is_an_input_by_another_name_is_refused(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(b"original")
    (tmp_path / "out").mkdir()
    link(original, tmp_path / "out" / "a.jpg")
    status = original.stat()
    with pytest.raises(InvalidRequest, match="one of the pictures"):
        LocalFolder(tmp_path / "out", WHOLE).refuse_inputs(["a.jpg"], {(status.st_dev, status.st_ino)})


def test_folder_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "originals").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "originals")
    with LocalFolder(tmp_path / "out", WHOLE) as folder, pytest.raises(NameTaken):
        folder.write(result(), b"hidden")
    assert list((tmp_path / "originals").iterdir()) == []


def in_place(root: Path) -> tuple[LocalFile, Path]:
    path = root / "a.jpg"
    path.write_bytes(b"original")
    status = path.stat()
    version = f"{status.st_size}-{status.st_mtime_ns}"
    return LocalFile(path="a.jpg", location=str(path), version=version, identity=(0, 0)), path


def test_in_place_the_result_itself_is_what_is_done(tmp_path: Path) -> None:
    source, path = in_place(tmp_path)
    done = replace(result(), path="a.jpg", output="a.jpg", source=source.version)
    with InPlace(tmp_path, WHOLE) as folder:
        assert folder.finished(source, OPTIONS) is None
        folder.write(done, b"hidden")
    with InPlace(tmp_path, WHOLE) as folder:
        assert folder.finished(source, OPTIONS) is not None
        path.write_bytes(b"another original")
        assert folder.finished(source, OPTIONS) is None


def test_in_place_a_changed_original_is_not_lost(tmp_path: Path) -> None:
    source, path = in_place(tmp_path)
    path.write_bytes(b"edited meanwhile")
    done = replace(result(), path="a.jpg", output="a.jpg", source=source.version)
    with InPlace(tmp_path, WHOLE) as folder, pytest.raises(Changed):
        folder.write(done, b"hidden")
    assert path.read_bytes() == b"edited meanwhile"


def test_in_place_another_format_is_refused(tmp_path: Path) -> None:
    with InPlace(tmp_path, WHOLE) as folder, pytest.raises(NameTaken, match="another format"):
        folder.write(replace(result(), path="p.heic", output="p.heic.jpg"), b"hidden")
