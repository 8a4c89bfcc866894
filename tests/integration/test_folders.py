"""`facet anonymize`, `detect` and `embed` on folders, through a running gateway."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from tests.support.facet_command import facet, killed_when, report_of, started
from tests.support.pictures import decode, encode
from tests.support.trees import Tree, contents, make_tree
from tests.support.waiting import eventually

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def tree(folder: Path, astronaut: Image.Image) -> Tree:
    return make_tree(folder, [astronaut], COUNT)


@pytest.fixture(scope="module")
def undisturbed(folder: Path, tree: Tree, gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one run has written, with its report."""
    del tree
    out = tmp_path_factory.mktemp("out")
    done = facet("anonymize", folder, "-o", out / "hidden", "--report", out / "report.json", "--target", gateway_url)
    assert done.returncode == 3
    assert done.stdout == b""
    return out


def test_every_good_picture_is_done_and_the_rest_is_named_with_its_reason(undisturbed: Path, tree: Tree) -> None:
    report = report_of(undisturbed / "report.json")
    by_status = {
        status: {f["path"] for f in report["files"] if f["status"] == status} for status in ("done", "skipped")
    }
    assert by_status == {"done": tree.good, "skipped": tree.skipped}
    problems = {f["path"]: f["reason"] for f in report["files"] if f["status"] in {"refused", "failed"}}
    assert problems == tree.bad
    assert contents(undisturbed / "hidden").keys() == tree.good
    assert all(f["faces"] == 1 for f in report["files"] if f["status"] == "done")


def test_originals_are_neither_changed_nor_copied(undisturbed: Path, folder: Path, tree: Tree) -> None:
    originals = {path: (folder / path).read_bytes() for path in tree.good}
    hidden = contents(undisturbed / "hidden")
    assert not set(originals.values()) & set(hidden.values())
    for path, content in originals.items():
        assert decode(content).size == decode(hidden[path]).size


def test_run_that_was_killed_goes_on_and_ends_as_an_undisturbed_one(
    undisturbed: Path, folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    out, report = tmp_path / "hidden", tmp_path / "report.json"
    command = ("anonymize", folder, "-o", out, "--report", report, "--target", gateway_url, "--jobs", "4")
    journal = out / ".facet" / "journal-0-of-1.jsonl"
    for lines in (5, 15):
        killed_when(started(*command), journal, lines)
        torn = journal.read_bytes()
        journal.write_bytes(torn + b'{"path": "torn')
    parts = out / ".facet" / "parts-0-of-1"
    parts.mkdir(exist_ok=True)
    (parts / "somebody's").write_bytes(b"of no run")
    assert facet(*command).returncode == 3
    assert [path.name for path in parts.iterdir()] == ["somebody's"]
    shutil.rmtree(parts)
    assert contents(out) == contents(undisturbed / "hidden")
    assert report_of(report) == report_of(undisturbed / "report.json")
    assert [path.name for path in (out / ".facet").iterdir()] == [journal.name]
    written = [json.loads(line)["path"] for line in journal.read_bytes().splitlines() if b"sha256" in line]
    assert set(written) == tree.good
    assert len(written) <= len(tree.good) + 2 * 4  # what was under way when it was killed, and no more


def test_run_that_was_stopped_by_a_signal_says_so_and_leaves_nothing_unfinished(
    folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    del tree
    out = tmp_path / "hidden"
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = started("anonymize", folder, "-o", out, "--target", gateway_url, "--jobs", "1")
        eventually((out / ".facet" / "parts-0-of-1").exists)
        before = len(contents(out))
        eventually(lambda: len(contents(out)) > before)  # noqa: B023  (called at once)
        process.send_signal(number)
        assert process.wait(60) == code
        assert not (out / ".facet" / "parts-0-of-1").exists()
    assert 0 < len(contents(out)) < COUNT


def test_four_shards_do_together_what_one_run_does(
    undisturbed: Path, folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    out = tmp_path / "hidden"
    workers = [
        started(
            *(
                "anonymize",
                folder,
                "-o",
                out,
                "--report",
                tmp_path / "report.json",
                "--target",
                gateway_url,
                "--jobs",
                "2",
            ),
            settings={"FACET_SHARDS": "4", "JOB_COMPLETION_INDEX": str(index)},
        )
        for index in range(4)
    ]
    assert all(worker.wait(120) in {0, 3} for worker in workers)
    assert contents(out) == contents(undisturbed / "hidden")
    reports = [report_of(tmp_path / f"report-{index}-of-4.json")["files"] for index in range(4)]
    assert all(reports)
    merged = sorted((row for rows in reports for row in rows), key=lambda row: str(row["path"]))
    assert merged == report_of(undisturbed / "report.json")["files"]
    again = facet("anonymize", folder, "-o", out, "--target", gateway_url, "--json")
    assert f"{len(tree.good)} by earlier runs" in again.stderr.decode()


def test_changed_file_and_changed_options_are_done_again(
    astronaut: Image.Image, gateway_url: str, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.bmp", "b.bmp"):
        (source / name).write_bytes(encode(astronaut.resize((200, 200)), "BMP"))
    run = ("anonymize", source, "-o", out, "--target", gateway_url)
    assert facet(*run).returncode == 0
    first = contents(out)
    (source / "b.bmp").write_bytes(encode(astronaut.resize((200, 200)).rotate(3), "BMP"))
    assert "(1 by earlier runs)" in facet(*run).stderr.decode()
    assert contents(out)["a.bmp"] == first["a.bmp"]
    assert contents(out)["b.bmp"] != first["b.bmp"]
    assert facet(*run, "--style", "solid").returncode == 0
    assert contents(out)["a.bmp"] != first["a.bmp"]


@pytest.mark.parametrize("case", ["into the source", "link back", "two of one name", "heic beside its jpeg", "foreign"])
def test_nothing_is_begun_where_something_would_be_overwritten(
    case: str, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    source, other, out = tmp_path / "in", tmp_path / "other", tmp_path / "out"
    for place in (source, other):
        (place / "sub").mkdir(parents=True)
        (place / "sub" / "a.jpg").write_bytes(astronaut_jpeg)
    out.mkdir()
    given, expected = [source], b""
    match case:
        case "into the source":
            out, expected = source, b"one of the pictures"
        case "link back":
            (out / "sub").symlink_to(source / "sub")
            expected = b"one of the pictures"
        case "two of one name":
            given, expected = [source, other], b"sub/a.jpg would become one"
        case "heic beside its jpeg":
            (source / "p.heic").write_bytes(b"?")
            (source / "p.heic.jpg").write_bytes(b"?")
            expected = b"p.heic.jpg"
        case "foreign":
            (out / "sub").mkdir()
            (out / "sub" / "a.jpg").write_bytes(b"somebody's")
            expected = b"no earlier run has written this"
    before = {**contents(source), **contents(out)}
    refused = facet("anonymize", *given, "-o", out, "--target", "http://127.0.0.1:1")
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert {**contents(source), **contents(out)} == before


def test_gateway_that_is_not_there_is_one_error_and_not_one_a_picture(tmp_path: Path, astronaut_jpeg: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(astronaut_jpeg)
    done = facet("anonymize", tmp_path, "-o", tmp_path / "out", "--target", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.count(b"127.0.0.1:1") == 1
    assert contents(tmp_path / "out") == {}


def test_destination_that_cannot_be_is_one_line(tmp_path: Path, astronaut_jpeg: bytes) -> None:
    (tmp_path / "in.jpg").write_bytes(astronaut_jpeg)
    (tmp_path / "file").write_bytes(b"no folder")
    done = facet("anonymize", tmp_path / "in.jpg", "-o", tmp_path / "file", "--target", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "file").read_bytes() == b"no folder"


def test_in_place_replaces_the_originals_once(astronaut: Image.Image, gateway_url: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(astronaut, "JPEG"))
    (tmp_path / "a.jpg").chmod(0o640)
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    original = (tmp_path / "a.jpg").read_bytes()
    run = ("anonymize", tmp_path, "--in-place", "--target", gateway_url)
    assert facet(*run).returncode == 0
    hidden = (tmp_path / "a.jpg").read_bytes()
    assert hidden != original
    assert (tmp_path / "a.jpg").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.jpg").is_symlink()
    assert "(1 by earlier runs)" in facet(*run).stderr.decode()
    assert (tmp_path / "a.jpg").read_bytes() == hidden


def test_single_picture_goes_to_a_file_or_through_pipes(
    gateway_url: str, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    picture, target = tmp_path / "a.jpg", ("--target", gateway_url)
    picture.write_bytes(astronaut_jpeg)
    piped = facet("anonymize", "-", "-o", "-", *target, stdin=astronaut_jpeg)
    assert piped.returncode == 0
    assert decode(piped.stdout).size == (512, 512)
    assert facet("anonymize", picture, "-o", tmp_path / "b.jpg", *target).returncode == 0
    assert (tmp_path / "b.jpg").read_bytes() == piped.stdout
    assert b"exists" in facet("anonymize", picture, "-o", tmp_path / "b.jpg", *target).stderr
    assert b"the picture itself" in facet("anonymize", picture, "-o", picture, "--overwrite", *target).stderr
    assert picture.read_bytes() == astronaut_jpeg
    assert b"not exactly one" in facet("anonymize", tmp_path, "-o", "-", *target).stderr
    refused = facet("anonymize", "-", "-o", "-", *target, stdin=b"no picture")
    assert (refused.returncode, refused.stdout) == (3, b"")


def test_found_faces_are_printed_in_order_and_the_same_in_a_file(
    folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    printed = facet("detect", folder, "--target", gateway_url)
    assert printed.returncode == 3
    lines = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [line["path"] for line in lines] == sorted(tree.good)
    assert all(len(line["faces"]) == 1 for line in lines)
    journal = tmp_path / ".faces.jsonl.facet-journal"
    command = ("detect", folder, "-o", tmp_path / "faces.jsonl", "--target", gateway_url)
    killed_when(started(*command), journal, 9)
    assert facet(*command).returncode == 3
    assert (tmp_path / "faces.jsonl").read_bytes() == printed.stdout
    table = facet("detect", folder, "--as", "csv", "--target", gateway_url).stdout.decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [float(row["x_min"]) for row in rows] == [line["faces"][0]["box"]["x_min"] for line in lines]


def test_embeddings_go_to_numpy_and_parquet(compare_gateway_url: str, astronaut: Image.Image, tmp_path: Path) -> None:
    pictures = tmp_path / "in"
    pictures.mkdir()
    (pictures / "a.jpg").write_bytes(encode(astronaut, "JPEG"))
    (pictures / "no face.png").write_bytes(encode(Image.new("RGB", (64, 64)), "PNG"))
    os.link(pictures / "a.jpg", pictures / "b.jpg")
    for name in ("faces.npz", "faces.parquet"):
        assert facet("embed", pictures, "-o", tmp_path / name, "--target", compare_gateway_url).returncode == 0
    table = parquet.read_table(tmp_path / "faces.parquet").to_pydict()
    with np.load(tmp_path / "faces.npz") as arrays:
        assert list(arrays["path"]) == table["path"] == ["a.jpg", "b.jpg"]
        assert arrays["embedding"].dtype == np.float32
        assert np.allclose(np.linalg.norm(arrays["embedding"], axis=1), 1, atol=1e-5)
        assert np.array_equal(arrays["embedding"], np.array(table["embedding"], np.float32))
        assert set(arrays["model"]) == set(table["model"])
    assert list(tmp_path.glob(".*")) == []
