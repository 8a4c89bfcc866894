"""More pictures, and more ways from and to an S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.buckets import S3, running_s3
from tests.support.facet_command import facet, started
from tests.support.trees import Tree, contents, make_tree

COUNT = 60
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


def test_four_shards_into_a_bucket_do_together_what_one_run_does(
    s3: S3, tree: Tree, on_disk: dict[str, bytes], gateway_url: str
) -> None:
    del tree
    command = ("anonymize", "s3://photos/in", "-o", "s3://photos/sharded", "--shards", "4", "--target", gateway_url)
    workers = [started(*command, "--shard", str(index), settings=s3.settings) for index in range(4)]
    assert all(worker.wait(120) in {0, 3} for worker in workers)
    assert s3.contents("sharded/") == on_disk


def test_pattern_in_a_bucket_to_a_folder_and_a_folder_to_a_bucket(
    s3: S3, folder: Path, on_disk: dict[str, bytes], gateway_url: str, tmp_path: Path
) -> None:
    target = ("--target", gateway_url)
    facet("anonymize", "s3://photos/in/holiday/*.jpg", "-o", tmp_path, *target, settings=s3.settings)
    jpegs = {f"holiday/{path}": content for path, content in contents(tmp_path).items()}
    assert jpegs
    assert jpegs.items() <= on_disk.items()
    facet("anonymize", folder / "holiday", "-o", "s3://photos/holiday", *target, settings=s3.settings)
    below = {f"holiday/{path}": content for path, content in s3.contents("holiday/").items()}
    assert below == {path: content for path, content in on_disk.items() if path.startswith("holiday/")}


def test_found_faces_go_to_an_object_and_are_not_overwritten(s3: S3, tree: Tree, gateway_url: str) -> None:
    del tree
    command = ("detect", "s3://photos/in/holiday", "-o", "s3://photos/faces.jsonl", "--target", gateway_url)
    assert facet(*command, settings=s3.settings).returncode == 0
    lines = s3.get("faces.jsonl").splitlines()
    assert len(lines) == len(s3.keys("in/holiday/"))
    assert b"exists" in facet(*command, settings=s3.settings).stderr
