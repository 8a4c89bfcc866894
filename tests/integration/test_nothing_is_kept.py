"""Pictures are never written: every tier works where nothing can be written, and its log tells nothing of them."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from facet.v1 import detector_pb2
from tests.support.clients import TIMEOUT_S, detect_request, detector_at, metrics_of
from tests.support.pictures import encode, noise
from tests.support.processes import REPOSITORY, RunningTier, Stack

FILE_NAME = "holiday-of-mrs-example.png"
SPOOLED_FROM_BYTES = 1024 * 1024
"""Where Starlette's parser would begin to write an upload to a temporary file."""

LOG_KEYS = {
    *("time", "level", "tier", "event", "request_id", "port", "metrics_port"),
    *("method", "code", "duration_s", "items", "request_bytes", "response_bytes", "caller"),
}
METRIC_LABELS = {
    *("method", "code", "reason", "model_id", "le"),
    *("generation", "implementation", "major", "minor", "patchlevel", "version"),
}

READ_ONLY_SYSTEM = (
    *("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)), "sh", "-c"),
    "awk '$2 !~ \"^/(proc|sys)\" {print $2}' /proc/self/mounts | sort -u | while read -r point; do "
    'mount -o remount,bind,ro "$point" || exit 1; done && exec "$@"',
    "sh",
)
"""Runs a command in a view of the system where every mounted file system is read-only, /tmp and /dev/shm as well."""


@pytest.fixture(scope="module")
def large_picture(astronaut: Image.Image) -> bytes:
    """A face in a file that is larger than what is spooled to disk."""
    scene = noise(1024, 1024)
    scene.paste(astronaut, (256, 256))
    content = encode(scene, "PNG")
    assert len(content) > 2 * SPOOLED_FROM_BYTES
    return content


@pytest.fixture(scope="module")
def confined_stack() -> Iterator[Stack]:
    """A stack that works although it can write to no file system."""
    tried = subprocess.run([*READ_ONLY_SYSTEM, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"making the system read-only needs the right to mount: {tried.stderr.strip()}")
    running = Stack(READ_ONLY_SYSTEM)
    yield running
    running.stop()


@pytest.fixture
async def client(confined_stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=confined_stack.gateway.url, timeout=TIMEOUT_S) as client:
        yield client


def tiers_of(stack: Stack) -> tuple[RunningTier, ...]:
    return (stack.detector, stack.anonymizer, stack.gateway)


@pytest.mark.usefixtures("confined_stack")
@pytest.mark.parametrize("folder", [REPOSITORY, Path.home(), Path("/tmp"), Path("/dev/shm"), Path("/var/tmp")])  # noqa: S108
def test_confined_process_can_write_nowhere(folder: Path) -> None:
    """The other tests would pass without it."""
    write = f"import tempfile; tempfile.TemporaryFile(dir={str(folder)!r})"
    command = [*READ_ONLY_SYSTEM, sys.executable, "-c", write]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 1
    assert "Read-only file system" in tried.stderr


async def test_raw_picture_is_anonymized(client: httpx.AsyncClient, large_picture: bytes) -> None:
    answer = await client.post("/v1/anonymize", content=large_picture)
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["x-facet-faces"]) >= 1


async def test_uploaded_form_is_anonymized(client: httpx.AsyncClient, large_picture: bytes) -> None:
    answer = await client.post("/v1/anonymize", files={"image": (FILE_NAME, large_picture, "image/png")})
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["x-facet-faces"]) >= 1


async def test_faces_are_detected_with_every_model_and_recall(client: httpx.AsyncClient, large_picture: bytes) -> None:
    for model in ("blazeface-short", "blazeface-full"):
        for recall in ("fast", "balanced", "max"):
            answer = await client.post("/v1/detect", params={"model": model, "recall": recall}, content=large_picture)
            assert answer.status_code == 200, answer.text


async def test_stream_of_pictures_is_answered(confined_stack: Stack, large_picture: bytes) -> None:
    async def items() -> AsyncIterator[detector_pb2.StreamDetectFacesRequest]:
        for _ in range(3):
            yield detector_pb2.StreamDetectFacesRequest(request=detect_request(large_picture))

    async with detector_at(confined_stack.detector.target) as detector:
        answers = [answer async for answer in detector.StreamDetectFaces(items(), timeout=TIMEOUT_S)]
    assert [answer.WhichOneof("result") for answer in answers] == ["response"] * 3


async def test_no_tier_has_a_file_open_that_it_could_write_to(stack: Stack, large_picture: bytes) -> None:
    """Looked at again and again while pictures are on their way."""
    upload = {"image": (FILE_NAME, large_picture, "image/png")}
    found: set[str] = set()
    async with httpx.AsyncClient(base_url=stack.gateway.url, timeout=TIMEOUT_S) as client:
        working = asyncio.gather(*(client.post("/v1/anonymize", files=upload) for _ in range(4)))
        while not working.done():
            for tier in tiers_of(stack):
                found |= writable_files(tier.process.pid)
            await asyncio.sleep(0)
        assert {answer.status_code for answer in await working} == {200}
    assert found <= {"/dev/null", "/memfd:picture (deleted)"}  # the latter is memory without a place in any folder


def writable_files(pid: int) -> set[str]:
    """What a process has open for writing, but for sockets, pipes and the like."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            path = str(descriptor.readlink())
            [flags] = re.findall(r"flags:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text())
        except FileNotFoundError:  # closed meanwhile
            continue
        if path.startswith("/") and int(flags, 8) & os.O_ACCMODE != os.O_RDONLY:
            found.add(path)
    return found


async def test_logs_and_metrics_tell_ids_sizes_counts_and_times_alone(stack: Stack, large_picture: bytes) -> None:
    upload = {"image": (FILE_NAME, large_picture, "image/png")}
    earlier = {tier.module: len(tier.log) for tier in tiers_of(stack)}
    async with httpx.AsyncClient(base_url=stack.gateway.url, timeout=TIMEOUT_S) as client:
        done = await client.post("/v1/anonymize", files=upload)
        await client.post("/v1/anonymize", content=large_picture[: len(large_picture) // 2])
        await client.post("/v1/anonymize", content=b"no picture, a secret")
        await client.post("/v1/detect", params={"model": FILE_NAME}, content=large_picture)
        await client.post("/v1/detect", params={FILE_NAME: "1"}, content=large_picture)
        unmatched = await client.post(f"/v1/detect/{FILE_NAME}", content=large_picture)
    last = unmatched.headers["x-request-id"]
    stack.gateway.wait_for(lambda line: line.get("request_id") == last)
    fragments = [content[offset : offset + 30] for content in (large_picture, done.content) for offset in (60, 5000)]
    traces = [FILE_NAME, "a secret", *(shown for f in fragments for shown in (base64.b64encode(f).decode(), repr(f)))]
    for tier in tiers_of(stack):
        text = "".join(tier.output)
        assert [trace for trace in traces if trace in text] == []
        assert {key for line in tier.log[earlier[tier.module] :] for key in line} <= LOG_KEYS
        samples = metrics_of(tier)
        assert [trace for trace in traces if trace in "".join(samples)] == []
        assert {label for name in samples for label in re.findall(r"[{,](\w+)=", name)} <= METRIC_LABELS
