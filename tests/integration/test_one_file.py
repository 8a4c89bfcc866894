"""One picture is told of as a folder of one: the same figures, report, notices and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.facet_command import facet, report_of
from tests.support.pictures import encode

NOBODY = "no face was found in: "


@pytest.fixture
def pictures(tmp_path: Path, astronaut: Image.Image) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "nobody.png").write_bytes(encode(Image.new("RGB", (64, 64), "green"), "PNG"))
    (folder / "somebody.png").write_bytes(encode(astronaut, "PNG"))
    (folder / "notes.png").write_bytes(b"no picture")
    return folder


@pytest.mark.parametrize("one", [True, False], ids=["one file", "a folder"])
def test_picture_without_a_face_is_named_on_the_terminal_in_the_report_and_in_the_figures(
    one: bool,  # noqa: FBT001  (a parameter of the test)
    pictures: Path,
    gateway_url: str,
    tmp_path: Path,
) -> None:
    (pictures / "notes.png").unlink()
    source, output = (pictures / "nobody.png", tmp_path / "hidden.png") if one else (pictures, tmp_path / "out")
    run = ("anonymize", source, "-o", output, "--target", gateway_url)
    done = facet(*run, "--json", "--report", tmp_path / "report.json")
    assert done.returncode == 0
    assert f"{NOBODY}nobody.png\n" in done.stderr.decode()
    assert json.loads(done.stdout)["without_faces"] == ["nobody.png"]
    [row] = [row for row in report_of(tmp_path / "report.json")["files"] if row["path"] == "nobody.png"]
    assert (row["status"], row["faces"], row["notice"]) == ("done", 0, "no face was found")
    assert facet(*run, "--report", tmp_path / "report.csv", "--overwrite").returncode == 0
    assert "nobody.png,done,0," in (tmp_path / "report.csv").read_text()


def test_long_list_of_pictures_without_a_face_is_cut_short(pictures: Path, gateway_url: str, tmp_path: Path) -> None:
    for index in range(9):
        (pictures / f"nobody {index}.png").write_bytes((pictures / "nobody.png").read_bytes())
    done = facet("anonymize", pictures, "-o", tmp_path / "out", "--target", gateway_url).stderr.decode()
    [line] = [line for line in done.splitlines() if line.startswith(NOBODY)]
    assert line.endswith(" and 5 more")


def test_one_file_and_a_folder_of_one_tell_the_same(pictures: Path, gateway_url: str, tmp_path: Path) -> None:
    for name, code in (("somebody.png", 0), ("nobody.png", 0), ("notes.png", 3)):
        folder = tmp_path / f"of {name}"
        folder.mkdir()
        (folder / name).write_bytes((pictures / name).read_bytes())
        told = []
        for source, output in ((folder, tmp_path / f"out {name}"), (folder / name, tmp_path / f"one {name}")):
            report = tmp_path / f"{output.name}.json"
            run = ("anonymize", source, "-o", output, "--json", "--report", report, "--target", gateway_url)
            done = facet(*run)
            assert done.returncode == code, done.stderr
            figures = json.loads(done.stdout)
            rows = [{**row, "output": ""} for row in report_of(report)["files"]]
            told.append(({key: value for key, value in figures.items() if key != "seconds"}, rows))
        assert told[0] == told[1]


def test_folder_with_other_files_than_pictures_is_done_and_they_are_named(
    pictures: Path, gateway_url: str, tmp_path: Path
) -> None:
    (pictures / "notes.png").unlink()
    others = {"Thumbs.db": b"\xd0\xcf\x11\xe0", ".DS_Store": b"\0\0\0\1Bud1", "notes.txt": b"no picture", "empty": b""}
    for name, content in others.items():
        (pictures / name).write_bytes(content)
    target, report = ("--target", gateway_url), tmp_path / "report.json"
    for command in (("anonymize", "-o", tmp_path / "out"), ("detect",)):
        done = facet(*command, pictures, "--hidden", "--report", report, *target)
        assert done.returncode == 0, done.stderr
        assert "4 skipped" in done.stderr.decode()
        rows = {row["path"]: row["status"] for row in report_of(report)["files"]}
        assert rows == dict.fromkeys(("nobody.png", "somebody.png"), "done") | dict.fromkeys(others, "skipped")
    named = facet("detect", pictures / "notes.txt", *target)
    assert named.returncode == 3
    assert b"notes.txt: " in named.stderr


def test_notice_of_an_answer_is_told_for_one_file(gateway_url: str, astronaut: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(astronaut.convert("CMYK"), "JPEG"))
    run = ("anonymize", tmp_path / "a.jpg", "--target", gateway_url)
    for output in (tmp_path / "b.jpg", "-"):
        done = facet(*run, "-o", output, "--allow-weak", "--report", tmp_path / "report.json")
        assert done.returncode == 0
        [row] = report_of(tmp_path / "report.json")["files"]
        assert row["notice"]
        assert f"notice for this picture: {row['notice']}" in done.stderr.decode()


def test_pipe_tells_people_and_keeps_standard_output_for_the_picture(
    pictures: Path, gateway_url: str, tmp_path: Path
) -> None:
    picture = (pictures / "nobody.png").read_bytes()
    run = ("anonymize", "-", "-o", "-", "--target", gateway_url)
    done = facet(*run, "--report", tmp_path / "report.json", stdin=picture)
    assert done.returncode == 0
    assert done.stdout.startswith(b"\x89PNG")
    assert f"{NOBODY}-" in done.stderr.decode()
    assert report_of(tmp_path / "report.json")["files"][0]["path"] == "-"
    assert facet(*run, "--json", stdin=picture).returncode == 2


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda folder: (folder / "somebody.png").write_bytes(b"no picture"), 3),
        (lambda folder: (folder / "somebody.png").unlink(), 1),
    ],
    ids=["refused", "not there"],
)
def test_one_file_that_cannot_be_done_ends_as_documented(
    break_it: Callable[[Path], object], code: int, pictures: Path, gateway_url: str, tmp_path: Path
) -> None:
    break_it(pictures)
    done = facet("anonymize", pictures / "somebody.png", "-o", tmp_path / "out.png", "--target", gateway_url)
    assert done.returncode == code
    assert b"somebody.png" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_detect_and_embed_name_a_picture_without_a_face(
    compare_gateway_url: str, pictures: Path, tmp_path: Path
) -> None:
    for number, command in enumerate(
        (("detect",), ("detect", "-o", tmp_path / "f.csv"), ("embed", "-o", tmp_path / "e.npz"))
    ):
        report = tmp_path / f"report {number}.json"
        done = facet(*command, pictures / "nobody.png", "--report", report, "--target", compare_gateway_url)
        assert done.returncode == 0
        assert f"{NOBODY}nobody.png" in done.stderr.decode()
        assert report_of(report)["files"][0]["notice"] == "no face was found"


def test_found_faces_as_csv_hold_no_formula(compare_gateway_url: str, pictures: Path, tmp_path: Path) -> None:
    (pictures / "somebody.png").rename(pictures / "=1+1.png")
    assert (
        facet("detect", pictures / "=1+1.png", "-o", tmp_path / "f.csv", "--target", compare_gateway_url).returncode
        == 0
    )
    assert (tmp_path / "f.csv").read_text().splitlines()[1].startswith("'=1+1.png,")
