"""`facet anonymize` with people and receipts: `--keep`, `--only` and `--receipt`, for one file and for folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_receipts import make_key
from tests.support.facet_command import facet
from tests.support.processes import RunningTier, Stack, start


@pytest.fixture(scope="module")
def gateway(identity_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTier]:
    key = make_key(tmp_path_factory.mktemp("keys") / "receipt-key.pem")
    running = start("gateway", **identity_stack.targets(), FACET_GATEWAY_RECEIPT_KEY=str(key))
    yield running
    running.stop()


@pytest.fixture
def pictures(tmp_path: Path, astronaut_jpeg: bytes) -> Path:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (folder / name).write_bytes(astronaut_jpeg)
    return folder


def test_receipts_lie_beside_the_results_and_are_genuine(gateway: RunningTier, pictures: Path, tmp_path: Path) -> None:
    target, out = ("--target", gateway.url), tmp_path / "out"
    run = ("anonymize", pictures, "-o", out, *target)
    assert facet(*run).returncode == 0
    signed = facet(*run, "--receipt", "--verify")
    assert (signed.returncode, "earlier" in signed.stderr.decode()) == (0, False)
    assert facet("anonymize", pictures / "a.jpg", "--receipt", *target).returncode == 0
    for hidden in (out / "a.jpg", out / "deep/b.jpg", pictures / "a-hidden.jpg"):
        told = facet("verify-receipt", f"{hidden}.receipt", hidden, "--key", gateway.url)
        assert told.returncode == 0, told.stderr
        assert b"receipt is genuine" in told.stdout
    again = facet("anonymize", pictures / "deep", "-o", out / "deep", "--receipt", "--verify", *target)
    assert again.returncode == 1  # another folder's journal knows nothing of these files
    (pictures / "a-hidden.jpg").unlink()
    (pictures / "a-hidden.jpg.receipt").unlink()
    assert "(2 by earlier runs)" in facet(*run, "--receipt", "--verify").stderr.decode()


def test_receipt_overwrites_nothing(gateway: RunningTier, pictures: Path, tmp_path: Path) -> None:
    (pictures / "a-hidden.jpg.receipt").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg.receipt").write_text("mine")
    for arguments in ((pictures / "a.jpg",), (pictures / "deep", pictures / "a.jpg", "-o", tmp_path / "out")):
        refused = facet("anonymize", *arguments, "--receipt", "--target", gateway.url)
        assert refused.returncode == 1
        assert b".receipt" in refused.stderr
    os.link(pictures / "a.jpg", pictures / "deep" / "b.jpg.receipt")
    clash = facet("anonymize", pictures / "deep", "-o", tmp_path / "new", "--receipt", "--target", gateway.url)
    assert (clash.returncode, b"would both become b.jpg.receipt" in clash.stderr) == (1, True)


def test_gateway_without_a_key_signs_nothing_and_says_what_to_do(gateway_url: str, pictures: Path) -> None:
    for way in (("--target", gateway_url), ()):
        refused = facet("anonymize", pictures / "a.jpg", "--receipt", *way)
        assert refused.returncode == 1
        assert b"set FACET_GATEWAY_RECEIPT_KEY to its path" in refused.stderr
        assert not (pictures / "a-hidden.jpg").exists()


def test_people_are_kept_or_hidden_and_count_in_what_is_done(
    compare_gateway_url: str, pictures: Path, tmp_path: Path, shared_dir: Path
) -> None:
    her, someone = pictures / "a.jpg", min(min((shared_dir / "images" / "people").iterdir()).iterdir())
    figures = {}
    for options in (("--keep", her), ("--only", her), ("--keep", someone), ("--keep", someone, "--keep", her)):
        run = ("anonymize", pictures, "-o", tmp_path / "out", "--json", "--target", compare_gateway_url, *options)
        done = facet(*run)
        assert done.returncode == 0, done.stderr
        assert b"earlier" not in done.stderr
        figures[options] = json.loads(done.stdout)["faces"]
        assert b"(2 by earlier runs)" in facet(*run).stderr
    assert list(figures.values()) == [0, 2, 2, 0]


def test_people_and_receipts_that_cannot_be_are_refused(pictures: Path, tmp_path: Path) -> None:
    picture, nowhere = pictures / "a.jpg", ("--target", "http://127.0.0.1:1")
    assert facet("anonymize", picture, "--keep", picture, "--only", picture, *nowhere).returncode == 2
    assert facet("anonymize", picture, "-o", "-", "--receipt", *nowhere).returncode == 2
    assert facet("anonymize", pictures, "--in-place", "--receipt", *nowhere).returncode == 2
    missing = facet("anonymize", picture, "--keep", tmp_path / "alice.jpg", *nowhere)
    assert (missing.returncode, b"alice.jpg cannot be read" in missing.stderr) == (1, True)
