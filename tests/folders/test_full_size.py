"""2,000 pictures in nested folders: killed three times and sharded, with the result of an undisturbed run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from tests.support.facet_command import facet, killed_when, report_of, started
from tests.support.processes import REPOSITORY
from tests.support.trees import Tree, contents, make_tree

COUNT = 2_000
JOBS = 8
PUBLISHED = 40
"""So many of the published test pictures are among them, where they are at hand."""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def tree(folder: Path, astronaut: Image.Image) -> Tree:
    published = sorted((REPOSITORY.parent / "shared" / "images" / "portraits").glob("**/*.jpg"))[:PUBLISHED]
    return make_tree(folder, [astronaut, *(Image.open(path).convert("RGB") for path in published)], COUNT)


@pytest.fixture(scope="module")
def undisturbed(folder: Path, tree: Tree, gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run has written, with its report."""
    del tree
    out = tmp_path_factory.mktemp("out")
    run = ("--report", out / "report.json", "--target", gateway_url, "--jobs", str(JOBS))
    assert facet("anonymize", folder, "-o", out / "hidden", *run).returncode == 3
    return out


def test_every_good_picture_is_done_once_and_the_rest_is_named_with_its_reason(undisturbed: Path, tree: Tree) -> None:
    files = report_of(undisturbed / "report.json")["files"]
    assert sorted(f["path"] for f in files) == sorted([*tree.good, *tree.bad, *tree.skipped])
    assert {f["path"] for f in files if f["status"] == "done"} == tree.good
    assert {f["path"]: f["reason"] for f in files if f["status"] in {"refused", "failed"}} == tree.bad
    assert contents(undisturbed / "hidden").keys() == tree.good
    journal = undisturbed / "hidden" / ".facet" / "journal-0-of-1.jsonl"
    assert len(journal.read_bytes().splitlines()) == len(tree.good)


def test_three_kills_at_random_moments_change_nothing(
    undisturbed: Path, folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    out, report = tmp_path / "hidden", tmp_path / "report.json"
    command = ("anonymize", folder, "-o", out, "--report", report, "--target", gateway_url, "--jobs", str(JOBS))
    journal = out / ".facet" / "journal-0-of-1.jsonl"
    for lines in sorted(random.SystemRandom().sample(range(1, COUNT), 3)):
        killed_when(started(*command), journal, lines)
    assert facet(*command).returncode == 3
    assert contents(out) == contents(undisturbed / "hidden")
    assert report_of(report) == report_of(undisturbed / "report.json")
    assert len(journal.read_bytes().splitlines()) <= len(tree.good) + 3 * JOBS


def test_four_shards_at_once_do_exactly_the_work_of_one_run(
    undisturbed: Path, folder: Path, tree: Tree, gateway_url: str, tmp_path: Path
) -> None:
    out = tmp_path / "hidden"
    command = ("anonymize", folder, "-o", out, "--report", tmp_path / "report.json", "--target", gateway_url)
    workers = [started(*command, "--shards", "4", "--shard", str(index), "--jobs", "2") for index in range(4)]
    assert all(worker.wait() in {0, 3} for worker in workers)
    assert contents(out) == contents(undisturbed / "hidden")
    shares = [report_of(tmp_path / f"report-{index}-of-4.json")["files"] for index in range(4)]
    merged = sorted((row for share in shares for row in share), key=lambda row: str(row["path"]))
    assert merged == report_of(undisturbed / "report.json")["files"]
    assert all(abs(len(share) - len(merged) / 4) < 0.15 * len(merged) / 4 for share in shares)
    journals = sum(len(path.read_bytes().splitlines()) for path in (out / ".facet").glob("journal-*"))
    assert journals == len(tree.good)
