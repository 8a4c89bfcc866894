"""`facet anonymize` and `detect` with an S3 server on both sides: the same results as with folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.buckets import S3, running_s3
from tests.support.facet_command import facet, report_of, started
from tests.support.trees import Tree, contents, make_tree
from tests.support.waiting import eventually

COUNT = 9
NOT_IN_A_BUCKET = {"bad/broken link.jpg", "bad/pipe.jpg", "bad/loop"}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def tree(folder: Path, astronaut: Image.Image, s3: S3) -> Tree:
    """The pictures in a folder, and the same in the bucket."""
    tree = make_tree(folder, [astronaut], COUNT)
    for path in tree.good | tree.bad.keys() | tree.skipped:
        if path.isprintable() and path not in NOT_IN_A_BUCKET:
            s3.put(f"in/{path}", (folder / path).read_bytes())
    return tree


@pytest.fixture(scope="module")
def on_disk(folder: Path, tree: Tree, gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run from folder to folder writes, of the pictures that are in the bucket too."""
    del tree
    out = tmp_path_factory.mktemp("out")
    facet("anonymize", folder, "-o", out, "--target", gateway_url)
    return {path: content for path, content in contents(out).items() if path.isprintable()}


def test_bucket_to_bucket_gives_what_folders_give_though_killed_on_the_way(
    s3: S3, tree: Tree, on_disk: dict[str, bytes], gateway_url: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = (
        *("anonymize", "s3://photos/in", "-o", "s3://photos/out", "--jobs", "2"),
        *("--report", report, "--target", gateway_url),
    )
    process = started(*command, settings=s3.settings)
    eventually(lambda: process.poll() is not None or len(s3.contents("out/")) > COUNT // 3)
    process.kill()
    process.wait()
    assert facet(*command, settings=s3.settings).returncode == 3
    assert s3.contents("out/") == on_disk
    assert {f["path"] for f in report_of(report)["files"] if f["status"] == "done"} == on_disk.keys()
    problems = {f["path"]: f["reason"] for f in report_of(report)["files"] if f["status"] in {"refused", "failed"}}
    assert problems == {path: reason for path, reason in tree.bad.items() if path not in NOT_IN_A_BUCKET}
    again = facet(*command, settings=s3.settings)
    assert f"({len(on_disk)} by earlier runs)" in again.stderr.decode()


def test_object_that_no_run_has_written_is_not_overwritten(s3: S3, tree: Tree, gateway_url: str) -> None:
    del tree
    name = s3.keys("in/holiday/")[0].removeprefix("in/holiday/")
    s3.put(f"taken/{name}", b"somebody's")
    command = ("anonymize", "s3://photos/in/holiday", "-o", "s3://photos/taken", "--target", gateway_url)
    refused = facet(*command, settings=s3.settings)
    assert refused.returncode == 1
    assert b"no earlier run has written this" in refused.stderr
    assert s3.contents("taken/") == {name: b"somebody's"}
    into_itself = facet(
        "anonymize", "s3://photos/in", "-o", "s3://photos/in", "--target", gateway_url, settings=s3.settings
    )
    assert b"one of the pictures" in into_itself.stderr
