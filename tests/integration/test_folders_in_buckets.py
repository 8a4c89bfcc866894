"""`facet anonymize` and `detect` with an S3 server on both sides: the same results as with folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.facet_command import facet, report_of, started
from tests.support.trees_in_buckets import NOT_IN_A_BUCKET, InBoth, in_both
from tests.support.waiting import eventually

COUNT = 9


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, astronaut: Image.Image, gateway_url: str) -> Iterator[InBoth]:
    with in_both(tmp_path_factory.mktemp("pictures"), astronaut, COUNT, gateway_url) as pictures:
        yield pictures


def test_bucket_to_bucket_gives_what_folders_give_though_killed_on_the_way(
    both: InBoth, gateway_url: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = (
        *("anonymize", "s3://photos/in", "-o", "s3://photos/out", "--jobs", "2"),
        *("--report", report, "--target", gateway_url),
    )
    process = started(*command, settings=both.s3.settings)
    eventually(lambda: process.poll() is not None or len(both.s3.contents("out/")) > COUNT // 3)
    process.kill()
    process.wait()
    assert facet(*command, settings=both.s3.settings).returncode == 3
    assert both.s3.contents("out/") == both.hidden
    assert {f["path"] for f in report_of(report)["files"] if f["status"] == "done"} == both.hidden.keys()
    problems = {f["path"]: f["reason"] for f in report_of(report)["files"] if f["status"] in {"refused", "failed"}}
    assert problems == {path: reason for path, reason in both.tree.bad.items() if path not in NOT_IN_A_BUCKET}
    again = facet(*command, settings=both.s3.settings)
    assert f"({len(both.hidden)} by earlier runs)" in again.stderr.decode()


def test_object_that_no_run_has_written_is_not_overwritten(both: InBoth, gateway_url: str) -> None:
    name = both.s3.keys("in/holiday/")[0].removeprefix("in/holiday/")
    both.s3.put(f"taken/{name}", b"somebody's")
    command = ("anonymize", "s3://photos/in/holiday", "-o", "s3://photos/taken", "--target", gateway_url)
    refused = facet(*command, settings=both.s3.settings)
    assert refused.returncode == 1
    assert b"no earlier run has written this" in refused.stderr
    assert both.s3.contents("taken/") == {name: b"somebody's"}
    into_itself = facet(
        "anonymize", "s3://photos/in", "-o", "s3://photos/in", "--target", gateway_url, settings=both.s3.settings
    )
    assert b"one of the pictures" in into_itself.stderr
