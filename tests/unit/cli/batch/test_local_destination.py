"""A folder as a destination: what counts as done, what is in the way, how results get there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cli.batch import local_destination
from cli.batch.journal import JournalFile, Written
from cli.batch.journal_key import journal_key
from cli.batch.local_destination import InPlace, LocalFolder
from cli.batch.local_sources import LocalFile
from cli.batch.outcomes import Changed, NameTaken
from cli.batch.seal import Seal
from cli.batch.shards import WHOLE
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

        def die(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        killed.setattr(*((JournalFile, "append", die) if step == "append" else (os, "rename", die)))
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
    (parts / Seal(journal_key(), "folder 0-of-1").part_name()).write_bytes(b"half")
    with LocalFolder(tmp_path, WHOLE) as folder:
        assert list(parts.iterdir()) == []
        assert folder.notices == []
    assert not parts.exists()


def test_files_that_no_run_made_stay_where_unfinished_ones_are_cleared(tmp_path: Path) -> None:
    parts = tmp_path / ".facet" / "parts-0-of-1"
    (parts / "deep").mkdir(parents=True)
    (parts / "thesis.txt").write_bytes(b"years")
    with LocalFolder(tmp_path, WHOLE) as folder:
        folder.write(result(), b"hidden")
        assert "2 files that no run of yours made" in folder.notices[0]
    assert (parts / "thesis.txt").read_bytes() == b"years"


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, content: bytes, *, folder: int, mode: int | None) -> None:
        del mode
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, dir_fd=folder)
        os.write(descriptor, content[:2])
        os.close(descriptor)
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


def sealed_journal(root: Path) -> Path:
    return root / ".facet" / "journal-0-of-1.jsonl"


def test_same_size_and_time_do_not_pass_off_other_content_as_done(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / "sub/a.jpg"
    before = path.stat()
    time.sleep(2.1)  # as long as a result may take from being written to being renamed into place
    path.write_bytes(b"HIDDEN")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_done(tmp_path)


def test_result_that_nobody_touched_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path)
    monkeypatch.setattr(local_destination, "sha256_of", lambda *_: pytest.fail("it was read"))
    assert is_done(tmp_path)


def test_forged_lines_in_a_journal_do_not_pass_off_anything_as_done(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.jpg").write_bytes(b"original")
    (tmp_path / ".facet").mkdir()
    forged = json.dumps(asdict(result(b"original"))).encode() + b"\n"
    sealed_journal(tmp_path).write_bytes(
        forged + Seal(b"sender's", "folder 0-of-1").sealed(asdict(result(b"original")))
    )
    assert not is_done(tmp_path)
    with InPlace(tmp_path, WHOLE) as folder:
        assert folder.finished(SOURCE, OPTIONS) is None
        [notice] = folder.notices
    assert "2 lines are not sealed with your key" in notice


def test_own_journal_in_another_folder_passes_off_nothing_but_own_results(tmp_path: Path) -> None:
    written(tmp_path / "mine")
    (tmp_path / "received" / ".facet").mkdir(parents=True)
    (tmp_path / "received" / "sub").mkdir()
    (tmp_path / "received" / "sub" / "a.jpg").write_bytes(b"shown!")  # of the same size
    shutil.copy2(sealed_journal(tmp_path / "mine"), sealed_journal(tmp_path / "received"))
    assert not is_done(tmp_path / "received")


@pytest.mark.parametrize(
    "name", [".facet", ".facet/parts-0-of-1", ".facet/journal-0-of-1.jsonl", ".facet/journal-3-of-4.jsonl"]
)
@pytest.mark.parametrize("kind", [LocalFolder, InPlace])
def test_own_state_that_is_a_link_is_refused_and_not_followed(
    tmp_path: Path, name: str, kind: type[LocalFolder]
) -> None:
    victim, root = tmp_path / "victim", tmp_path / "received"
    victim.mkdir()
    (victim / "thesis.txt").write_bytes(b"years")
    (root / name).parent.mkdir(parents=True)
    (root / name).symlink_to(victim / "thesis.txt" if name.endswith("jsonl") else victim)
    with pytest.raises(InvalidRequest, match="no run of Facet made it"), kind(root, WHOLE):
        pytest.fail("it was opened")
    assert [path.name for path in victim.iterdir()] == ["thesis.txt"]
    assert (victim / "thesis.txt").read_bytes() == b"years"
    (root / name).unlink()
    with kind(root, WHOLE):
        pass


def test_unfinished_files_are_nobody_elses_to_write_to_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with LocalFolder(tmp_path, WHOLE) as folder:
            assert (tmp_path / ".facet" / "parts-0-of-1").stat().st_mode & 0o777 == 0o700
            folder.write(result(), b"hidden")
    finally:
        os.umask(before)
    assert sealed_journal(tmp_path).stat().st_mode & 0o777 == 0o600


def test_link_that_takes_a_results_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / "out/sub/a.jpg").symlink_to(tmp_path / "elsewhere")
    written(tmp_path / "out")
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert (tmp_path / "out/sub/a.jpg").read_bytes() == b"hidden"
    assert not (tmp_path / "out/sub/a.jpg").is_symlink()
