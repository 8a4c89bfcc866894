"""More pictures, and more ways from and to an S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.facet_command import facet, started
from tests.support.trees import contents
from tests.support.trees_in_buckets import InBoth, in_both

COUNT = 60


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, astronaut: Image.Image, gateway_url: str) -> Iterator[InBoth]:
    with in_both(tmp_path_factory.mktemp("pictures"), astronaut, COUNT, gateway_url) as pictures:
        yield pictures


def test_four_shards_into_a_bucket_do_together_what_one_run_does(both: InBoth, gateway_url: str) -> None:
    command = ("anonymize", "s3://photos/in", "-o", "s3://photos/sharded", "--shards", "4", "--target", gateway_url)
    workers = [started(*command, "--shard", str(index), settings=both.s3.settings) for index in range(4)]
    assert all(worker.wait(120) in {0, 3} for worker in workers)
    assert both.s3.contents("sharded/") == both.hidden


def test_pattern_in_a_bucket_to_a_folder_and_a_folder_to_a_bucket(
    both: InBoth, gateway_url: str, tmp_path: Path
) -> None:
    target = ("--target", gateway_url)
    facet("anonymize", "s3://photos/in/holiday/*.jpg", "-o", tmp_path, *target, settings=both.s3.settings)
    jpegs = {f"holiday/{path}": content for path, content in contents(tmp_path).items()}
    assert jpegs
    assert jpegs.items() <= both.hidden.items()
    facet("anonymize", both.folder / "holiday", "-o", "s3://photos/holiday", *target, settings=both.s3.settings)
    below = {f"holiday/{path}": content for path, content in both.s3.contents("holiday/").items()}
    assert below == {path: content for path, content in both.hidden.items() if path.startswith("holiday/")}


def test_found_faces_go_to_an_object_and_are_not_overwritten(both: InBoth, gateway_url: str) -> None:
    command = ("detect", "s3://photos/in/holiday", "-o", "s3://photos/faces.jsonl", "--target", gateway_url)
    assert facet(*command, settings=both.s3.settings).returncode == 0
    lines = both.s3.get("faces.jsonl").splitlines()
    assert len(lines) == len(both.s3.keys("in/holiday/"))
    assert b"exists" in facet(*command, settings=both.s3.settings).stderr
