"""The start of a tier: what it waits for, what it survives, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import grpc
import pytest
from PIL import Image

from services.chassis.process.metrics import TierMetrics
from services.detector.settings import DetectorSettings
from services.detector.tier import DetectorTier
from tests.support.clients import TIMEOUT_S, detect_request, plain_detector_at
from tests.support.pictures import encode
from tests.support.processes import REPOSITORY, RunningTier


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def refusal(module: str, **settings: str) -> str:
    """What a process says that ends with exit code 1 and a message rather than a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("tier", ["detector", "anonymizer", "gateway"])
@pytest.mark.parametrize("which", ["PORT", "METRICS_PORT"])
def test_port_in_use_is_told_with_the_setting_that_changes_it(tier: str, which: str, port_in_use: int) -> None:
    name = f"FACET_{tier.upper()}"
    ports = {f"{name}_PORT": "0", f"{name}_METRICS_PORT": "0", f"{name}_{which}": str(port_in_use)}
    said = refusal("gateway" if tier == "gateway" else f"services.{tier}", **ports)
    assert said.startswith(f"{tier}: cannot listen on 127.0.0.1:{port_in_use}")
    assert f"{name}_{which}" in said


def test_default_model_that_does_not_exist_is_told_with_those_that_do() -> None:
    ports = {"FACET_DETECTOR_PORT": "0", "FACET_DETECTOR_METRICS_PORT": "0", "FACET_DRAIN_S": "0"}
    said = refusal("services.detector", FACET_DETECTOR_MODEL="blazeface", **ports)
    assert said.startswith("detector: there is no detection model 'blazeface'; known: ")
    assert "blazeface-full" in said


@pytest.mark.parametrize("script", ["NotReady", "Overloaded", "NotReady,Overloaded,NotReady"])
def test_load_that_may_succeed_later_is_tried_again(script: str) -> None:
    tier = RunningTier("tests.support.scripted_tier", {"FACET_TEST_SCRIPT": script, "FACET_DRAIN_S": "0"})
    tier.wait_ready()
    said = [line["event"] for line in tier.log if line["level"] == "warning"]
    assert said == ["not ready: as scripted"]  # told once, however often it is tried
    assert tier.stop() == 0


@asynccontextmanager
async def served_in_this_process(tier: DetectorTier) -> AsyncIterator[str]:
    server = grpc.aio.server()
    tier.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_warm_up_that_is_given_up_leaves_no_worker_waiting() -> None:
    """The warm-up meets on all workers; one of them is kept away by a call that came first."""
    metrics = TierMetrics("test")
    tier = DetectorTier(DetectorSettings(workers=2), metrics)
    slow = detect_request(encode(Image.new("RGB", (9900, 9900)), "PNG"))

    async def until(begun: int, waiting: int) -> None:
        read = metrics.registry.get_sample_value
        wanted = {"facet_test_queue_wait_seconds_count": begun, "facet_test_queue_depth": waiting}
        async with asyncio.timeout(10):
            while {name: read(name) for name in wanted} != wanted:  # noqa: ASYNC110  (worker threads change it)
                await asyncio.sleep(0.005)

    async with served_in_this_process(tier) as target, plain_detector_at(target) as client:
        call = asyncio.ensure_future(client.DetectFaces(slow, timeout=TIMEOUT_S))
        await until(begun=1, waiting=0)
        loading = asyncio.create_task(tier.load())
        await until(begun=3, waiting=1)
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        await call
        async with asyncio.timeout(10):
            await tier.close()
