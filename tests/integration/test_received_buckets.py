"""Prefixes of a bucket that others can write to: their notes pass nothing off as done and lose nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.support.buckets import S3, running_s3
from tests.support.facet_command import facet
from tests.support.pictures import encode

JOURNAL = ".facet/journal-0-of-1-"


@pytest.fixture(scope="module")
def s3(astronaut: Image.Image) -> Iterator[S3]:
    with running_s3() as server:
        server.put("in/a.png", encode(astronaut.resize((256, 256)), "PNG"))
        yield server


def run(s3: S3, gateway_url: str, out: str) -> tuple[int, str]:
    command = ("anonymize", "s3://photos/in", "-o", f"s3://photos/{out}", "--target", gateway_url)
    done = facet(*command, settings=s3.settings)
    return done.returncode, done.stderr.decode()


def test_result_that_was_replaced_by_an_original_of_its_size_is_not_done(s3: S3, gateway_url: str) -> None:
    assert run(s3, gateway_url, "out")[0] == 0
    hidden = s3.get("out/a.png")
    assert "(1 by earlier runs)" in run(s3, gateway_url, "out")[1]
    s3.put("out/a.png", b"\0" * len(hidden))
    code, told = run(s3, gateway_url, "out")
    assert code == 0
    assert "by earlier runs" not in told
    assert s3.get("out/a.png") == hidden


def test_forged_notes_and_claims_neither_pass_off_nor_overwrite(s3: S3, gateway_url: str) -> None:
    assert run(s3, gateway_url, "mine")[0] == 0
    [sealed] = [s3.get(key) for key in s3.keys("mine/.facet/")][-1:]
    original = s3.get("in/a.png")
    note = next(fields for fields in map(json.loads, sealed.splitlines()) if "sha256" in fields)
    forged: list[object] = [{**note, "size_bytes": len(original), "md5": ""}, {"claimed": ["a.png"]}, {"path": 5}, None]
    lines = b"".join(json.dumps(fields).encode() + b"\n" for fields in forged)
    for name in ("00000001", "not a number", "9" * 40):
        s3.put(f"received/{JOURNAL}{name}.jsonl", lines + sealed)  # sealed for another prefix
    s3.put("received/a.png", original)
    code, told = run(s3, gateway_url, "received")
    assert code == 1
    assert "no earlier run has written this" in told
    assert "Traceback" not in told
    assert s3.get("received/a.png") == original
    assert len(s3.keys(f"received/{JOURNAL}")) == 3
