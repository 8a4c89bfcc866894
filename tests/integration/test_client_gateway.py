"""The Python client against a real gateway, and the README's examples of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facet_client import AsyncFacet, DetectionOptions, Facet, FormatName, RedactionOptions, asynchronous
from facet_client.errors import InvalidRequestError, NotReadyError, UnsupportedFormatError
from tests.support.processes import REPOSITORY, Stack

README = REPOSITORY / "client" / "README.md"
EXAMPLES = [
    re.sub("^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", README.read_text(), re.MULTILINE)
    if "from facet_client import" in block
]


def test_all_calls_of_the_blocking_client(compare_gateway_url: str, astronaut_jpeg: bytes) -> None:
    with Facet(compare_gateway_url) as facet:
        assert facet.ready().ready
        found = facet.detect(astronaut_jpeg, detection=DetectionOptions(max_faces=1))
        assert (found.width, found.height, len(found.faces)) == (512, 512, 1)
        embedded = facet.embed(astronaut_jpeg)
        assert embedded.faces[0].embedding is not None
        assert np.linalg.norm(embedded.faces[0].embedding) == pytest.approx(1, abs=1e-5)
        [embedder] = [model for model in facet.models() if model.tier == "embedder"]
        comparison = facet.compare(astronaut_jpeg, astronaut_jpeg)
        assert comparison.same_person
        assert (embedder.model_id, embedder.threshold) == (embedded.embedding_model, comparison.threshold)
        hidden = facet.anonymize(astronaut_jpeg, redaction=RedactionOptions(format=FormatName.PNG), verify=True)
        assert hidden.content.startswith(b"\x89PNG")
        assert hidden.media_type == "image/png"
        assert hidden.faces >= 1
        assert (hidden.check or "").startswith("passed")
        assert facet.anonymize(astronaut_jpeg, keep=[astronaut_jpeg]).faces < hidden.faces


async def test_errors_carry_the_id_to_look_for_in_the_log(stack: Stack) -> None:
    async with AsyncFacet(stack.gateway.url) as facet:
        with pytest.raises(UnsupportedFormatError) as refused:
            await facet.detect(b"no picture")
    told = stack.gateway.wait_for(lambda line: line.get("request_id") == refused.value.request_id)
    assert told["code"] == 415


async def test_a_tier_that_is_down_is_named_with_what_to_do(
    stack: Stack, astronaut_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "NOT_READY_ATTEMPTS", 1)
    async with AsyncFacet(stack.gateway.url) as facet:
        readiness = await facet.ready()
        assert readiness.ready
        assert "facet models pull" in readiness.tiers["embedder"].detail
        with pytest.raises(NotReadyError, match="facet models pull"):
            await facet.embed(astronaut_jpeg)
        with pytest.raises(InvalidRequestError, match="exclude each other"):
            await facet.anonymize(astronaut_jpeg, keep=[astronaut_jpeg], only=[astronaut_jpeg])


@pytest.mark.parametrize("example", EXAMPLES, ids=["blocking", "asyncio"])
def test_the_examples_of_the_readme_run(
    example: str, compare_gateway_url: str, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for path in ("photo.jpg", "pictures/one.jpg"):
        (tmp_path / path).write_bytes(astronaut_jpeg)
    (tmp_path / "pictures" / "two.jpg").write_bytes(b"no picture")
    code = example.replace("http://localhost:8080", compare_gateway_url)
    assert code != example
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    if "hidden.jpg" in code:
        assert (tmp_path / "hidden.jpg").stat().st_size
    else:
        assert "UNSUPPORTED_FORMAT" in ran.stdout
        assert "[128]" in ran.stdout
