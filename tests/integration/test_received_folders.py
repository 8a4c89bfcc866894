"""Folders that somebody sent: what they bring along neither deletes, appends to, passes off nor executes anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hostile.folders import MUTATIONS, STATES, FolderAttack
from tests.support.facet_command import FACET, facet, report_of
from tests.support.pictures import decode


@pytest.fixture
def received(tmp_path: Path, astronaut_jpeg: bytes) -> Path:
    folder = tmp_path / "received"
    (folder / ".facet").mkdir(parents=True)
    (folder / "photo.jpg").write_bytes(astronaut_jpeg)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis.txt").write_bytes(b"years")
    return folder


def test_folder_of_unfinished_files_that_is_a_link_is_refused_and_empties_nothing(
    received: Path, victim: Path, tmp_path: Path
) -> None:
    (received / ".facet" / "parts-0-of-1").symlink_to(victim)
    for where in (("--in-place",), ("-o", received)):
        source = received if where == ("--in-place",) else tmp_path / "other"
        (tmp_path / "other").mkdir(exist_ok=True)
        shutil.copy(received / "photo.jpg", tmp_path / "other" / "mine.jpg")
        done = facet("anonymize", source, *where, "--target", "http://127.0.0.1:1")
        assert done.returncode == 1
        assert b"no run of Facet made it" in done.stderr
    assert [path.name for path in victim.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("trap", ["link", "hard link", "dangling link"])
def test_journal_that_leads_to_a_file_of_the_user_appends_nothing(received: Path, victim: Path, trap: str) -> None:
    journal = received / ".facet" / "journal-0-of-1.jsonl"
    match trap:
        case "link":
            journal.symlink_to(victim / "thesis.txt")
        case "hard link":
            os.link(victim / "thesis.txt", journal)
        case _:
            journal.symlink_to(victim / "authorized_keys")
    done = facet("anonymize", received, "--in-place", "--target", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert b"no run of Facet made it" in done.stderr
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == {"thesis.txt": b"years"}


def test_forged_journal_passes_no_original_off_as_done(
    received: Path, gateway_url: str, tmp_path: Path, astronaut_jpeg: bytes
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copy(received / "photo.jpg", mine / "photo.jpg")
    assert facet("anonymize", mine, "--in-place", "--target", gateway_url).returncode == 0
    own = json.loads((mine / ".facet" / "journal-0-of-1.jsonl").read_bytes())
    sha256 = subprocess.run(["sha256sum"], input=astronaut_jpeg, capture_output=True, check=True).stdout[:64].decode()
    forged = {**own, "size_bytes": len(astronaut_jpeg), "sha256": sha256}
    status = (received / "photo.jpg").stat()
    forged |= {"mtime_ns": status.st_mtime_ns, "inode": status.st_ino, "changed_ns": status.st_ctime_ns}
    (received / ".facet" / "journal-0-of-1.jsonl").write_text(json.dumps(forged) + "\n")
    done = facet("anonymize", received, "--in-place", "--report", tmp_path / "r.json", "--target", gateway_url)
    assert done.returncode == 0
    assert "1 lines are not sealed with your key" in done.stderr.decode()
    assert "by earlier runs" not in done.stderr.decode()
    assert report_of(tmp_path / "r.json")["files"][0]["faces"] == 1
    assert (received / "photo.jpg").read_bytes() == (mine / "photo.jpg").read_bytes()


def test_in_place_after_the_key_was_lost_does_again_what_no_note_tells_of(
    received: Path, gateway_url: str, tmp_path: Path
) -> None:
    run = ("anonymize", received, "--in-place", "--target", gateway_url)
    assert facet(*run).returncode == 0
    hidden = (received / "photo.jpg").read_bytes()
    again = facet(*run, settings={"XDG_STATE_HOME": str(tmp_path / "new")})
    assert again.returncode == 0
    assert "not sealed with your key" in again.stderr.decode()
    assert decode((received / "photo.jpg").read_bytes()).size == decode(hidden).size
    assert b"(1 by earlier runs)" in facet(*run, settings={"XDG_STATE_HOME": str(tmp_path / "new")}).stderr


def test_machines_that_share_a_key_go_on_with_each_others_work_and_others_overwrite_nothing(
    received: Path, gateway_url: str, tmp_path: Path
) -> None:
    run = ("anonymize", received, "-o", tmp_path / "out", "--target", gateway_url)
    shared = {"FACET_JOURNAL_KEY": "k" * 40}
    machines = [{"XDG_STATE_HOME": str(tmp_path / name)} for name in ("a", "b", "c")]
    assert facet(*run, settings={**machines[0], **shared}).returncode == 0
    assert b"(1 by earlier runs)" in facet(*run, settings={**machines[1], **shared}).stderr
    alone = facet(*run, settings=machines[2])
    assert alone.returncode == 1
    assert b"no earlier run has written this" in alone.stderr
    assert b"FACET_JOURNAL_KEY" in alone.stderr
    assert facet(*run, "--overwrite", settings=machines[2]).returncode == 0


def test_modules_in_the_working_folder_are_not_executed(received: Path, tmp_path: Path) -> None:
    ran = tmp_path / "executed"
    for name in ("gateway/__init__.py", "services/__init__.py", "numpy.py", "json.py", "sitecustomize.py"):
        (received / name).parent.mkdir(exist_ok=True)
        (received / name).write_text(f"open({str(ran)!r}, 'w').close()\n")
    done = subprocess.run(
        [FACET, "anonymize", "photo.jpg", "-o", tmp_path / "hidden.jpg"],
        cwd=received,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert not ran.exists()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "hidden.jpg").exists()


def test_state_that_was_mutated_touches_nothing_and_passes_nothing_off(gateway_url: str, tmp_path: Path) -> None:
    attack = FolderAttack(gateway_url, tmp_path, seed=2)
    assert list(attack.attack(range(0, len(MUTATIONS) * len(STATES), 13))) == []
    assert attack.outcomes.total() == 5
