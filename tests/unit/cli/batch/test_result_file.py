"""Which file the answers of a run may replace, and which journal beside it counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.batch.answers import JsonLines, TextFile
from cli.batch.journal import Answered
from cli.batch.result_file import LocalResult
from cli.batch.seal import Seal
from services.chassis.errors import InvalidRequest

ENTRY = Answered(path="a.jpg", source="1-1", options="o", faces=0, model="m@1", notice="", answer="{}")


def unfinished(path: Path, *entries: Answered) -> None:
    """As a run leaves it that wrote its file, with pictures that are to be tried again."""
    result = LocalResult(path)
    notebook = result.notebook(overwrite=False)
    for entry in entries:
        notebook.append(entry)
    result.write(entries, TextFile(JsonLines()))
    notebook.close(forget=False)


def test_file_of_an_unfinished_run_is_replaced_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    unfinished(path, ENTRY)
    unfinished(path, ENTRY, replace(ENTRY, path="b.jpg"))
    path.write_bytes(b"what somebody made of it")
    with pytest.raises(InvalidRequest, match="--overwrite"):
        LocalResult(path).notebook(overwrite=False)
    assert path.read_bytes() == b"what somebody made of it"


def test_journal_that_came_with_the_folder_gives_no_leave_to_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    path.write_bytes(b"mine")
    (tmp_path / ".faces.jsonl.facet-journal").touch()
    with pytest.raises(InvalidRequest, match="--overwrite"):
        LocalResult(path).notebook(overwrite=False)
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "content", [b"thesis", b"{}\n", Seal(b"sender's", "answers .f.jsonl.facet-journal").sealed({})]
)
def test_journal_that_no_run_made_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    journal = tmp_path / ".f.jsonl.facet-journal"
    journal.write_bytes(content)
    with pytest.raises(InvalidRequest, match="no run of yours"):
        LocalResult(tmp_path / "f.jsonl").notebook(overwrite=True)
    assert journal.read_bytes() == content


@pytest.mark.parametrize("trap", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_journal_that_is_a_link_is_neither_written_to_nor_deleted(
    tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    profile = tmp_path / "profile"
    profile.write_bytes(b"")
    trap(profile, tmp_path / ".f.jsonl.facet-journal")
    with pytest.raises(InvalidRequest, match="no run of Facet made it"):
        LocalResult(tmp_path / "f.jsonl").notebook(overwrite=False)
    assert profile.read_bytes() == b""


def test_result_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "f.jsonl").symlink_to("mine")
    with pytest.raises(InvalidRequest, match="exists"):
        LocalResult(tmp_path / "f.jsonl").notebook(overwrite=False)
    result = LocalResult(tmp_path / "f.jsonl")
    notebook = result.notebook(overwrite=True)
    result.write([], TextFile(JsonLines()))
    notebook.close(forget=True)
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "f.jsonl").is_symlink()
