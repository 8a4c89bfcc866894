"""What is found in folders of this machine, and how it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.batch.local_sources import LocalFile, Rules
from cli.batch.outcomes import Changed, Outcome, Status
from cli.batch.sources import find
from services.chassis.errors import InvalidRequest, TooLarge


def paths(*given: str | Path, rules: Rules | None = None) -> list[str]:
    return [source.path for source in find([str(text) for text in given], rules or Rules()).sources]


def reasons(folder: Path) -> dict[str, str]:
    return {outcome.path: outcome.reason for outcome in find([str(folder)], Rules()).passed_over}


def only(path: Path) -> LocalFile:
    [source] = find([str(path)], Rules()).sources
    assert isinstance(source, LocalFile)
    return source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.jpg", "sub/c.png", "sub/deep/d", ".hidden/e.jpg", ".f.jpg", ".facet/g.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"content")
    return tmp_path / "in"


def test_folder_stands_for_all_below_it_in_order(folder: Path) -> None:
    assert paths(folder) == ["a.jpg", "b.jpg", "sub/c.png", "sub/deep/d"]
    assert reasons(folder) == {".f.jpg": "HIDDEN", ".hidden": "HIDDEN"}


def test_hidden_files_count_where_asked_for_but_never_those_of_facet(folder: Path) -> None:
    assert set(paths(folder, rules=Rules(hidden=True))) - set(paths(folder)) == {".f.jpg", ".hidden/e.jpg"}


def test_file_stands_for_itself_and_once_however_often_it_is_given(folder: Path) -> None:
    assert paths(folder / "sub/c.png", folder / "sub/c.png") == ["c.png"]


def test_pattern_keeps_the_folders_below_its_fixed_part(folder: Path) -> None:
    assert paths(f"{folder}/*/*.png") == ["sub/c.png"]
    assert paths(f"{folder}/**/*.png") == ["sub/c.png"]
    assert paths(f"{folder}/s*") == ["sub/c.png", "sub/deep/d"]


def test_what_a_run_writes_itself_is_left_out(folder: Path) -> None:
    assert paths(folder, rules=Rules(leave_out=[folder / "sub", folder / "a.jpg"])) == ["b.jpg"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(folder: Path) -> None:
    (folder / "link.jpg").symlink_to("a.jpg")
    (folder / "loop").symlink_to(folder)
    (folder / "broken").symlink_to("nowhere")
    assert "link.jpg" in paths(folder)
    assert {"loop": "LINK", "broken": "INPUT_OUTPUT"}.items() <= reasons(folder).items()
    assert "link.jpg" not in paths(folder, rules=Rules(links=False))
    assert paths(folder / "loop" / "sub") == ["c.png", "deep/d"]


def test_devices_and_pipes_are_never_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert reasons(folder)["pipe"] == "NOT_A_FILE"
    with pytest.raises(InvalidRequest):
        find([f"{folder}/none/*"], Rules())
    [outcome] = find(["/dev/zero"], Rules()).passed_over
    assert outcome.reason == "NOT_A_FILE"


def test_pipe_that_took_a_files_place_is_not_waited_for(folder: Path) -> None:
    source = only(folder / "a.jpg")
    (folder / "a.jpg").unlink()
    os.mkfifo(folder / "a.jpg")
    with pytest.raises(Changed):
        source.read(100)


def test_undecodable_names_are_found_and_read(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(b"odd")
    source = next(s for s in find([str(folder)], Rules()).sources if not s.path.isascii())
    assert os.fsencode(source.path) == b"\xff.jpg"
    assert source.read(100) == b"odd"


def test_unreadable_folder_is_named_and_the_rest_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listdir = os.listdir

    def refusing(path: str) -> list[str]:  # as the superuser may read all
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refusing)
    assert paths(folder) == ["a.jpg", "b.jpg"]
    [outcome] = [o for o in find([str(folder)], Rules()).passed_over if o.status is Status.FAILED]
    assert outcome == Outcome(path="sub", status=Status.FAILED, reason="INPUT_OUTPUT", message="Permission denied")


def test_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "film").open("wb") as film:
        film.truncate(1 << 40)  # reading it would not end
    with pytest.raises(TooLarge, match="1024 GiB"):
        only(tmp_path / "film").read(1000)


def test_file_written_to_since_it_was_found_is_not_taken(folder: Path) -> None:
    source = only(folder / "a.jpg")
    (folder / "a.jpg").write_bytes(b"content!")
    with pytest.raises(Changed):
        source.read(100)


@pytest.mark.parametrize("text", ["nowhere.jpg", "https://example.invalid/a.jpg", "ftp://x/y"])
def test_what_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        find([text], Rules())


@pytest.mark.parametrize("name", ["report.csv", "faces.csv"])
def test_picture_that_a_reports_name_leads_to_is_not_left_out(folder: Path, name: str) -> None:
    (folder / name).symlink_to("a.jpg")
    os.link(folder / "b.jpg", folder / "other.jpg")
    rules = Rules(leave_out=[folder / name, folder / "other.jpg"])
    assert paths(folder, rules=rules) == ["a.jpg", "b.jpg", "sub/c.png", "sub/deep/d"]


def test_results_do_not_go_through_a_link_that_lies_among_the_pictures(folder: Path, tmp_path: Path) -> None:
    (folder / "hidden").symlink_to("sub")
    with pytest.raises(InvalidRequest, match="among the pictures"):
        paths(folder, rules=Rules(leave_out=[folder / "hidden"]))
    (folder / "hidden").unlink()
    (tmp_path / "shortcut").symlink_to(folder / "sub")
    assert paths(folder, rules=Rules(leave_out=[tmp_path / "shortcut"])) == ["a.jpg", "b.jpg"]
