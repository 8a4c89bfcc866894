"""Pictures go to the tiers and gateways that were named, and through no proxy of the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from facet_client import Facet
from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.channels import open_channel
from tests.support.clients import DETECTOR
from tests.support.collector import Collector, running_collector
from tests.support.facet_command import facet
from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start
from tests.support.proxy import Proxy, running_proxy
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with running_proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def proxied(proxy: Proxy, collector: Collector) -> Iterator[Stack]:
    """A stack in whose environment every variable names the proxy."""
    running = Stack((), embedder=False, **QUICK_MODEL, **collector.settings, **proxy.variables)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def receipts(proxied: Stack, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTier]:
    """A gateway of the same kind that signs receipts."""
    key = tmp_path_factory.mktemp("keys") / "receipt-key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    running = start("gateway", **proxied.targets(), **proxy.variables, FACET_GATEWAY_RECEIPT_KEY=str(key))
    yield running
    running.stop()


@pytest.fixture
def proxied_here(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has the same environment."""
    for name, value in proxy.variables.items():
        monkeypatch.setenv(name, value)


def anonymized(url: str, picture: bytes, **query: str) -> httpx.Response:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        answer = client.post("/v1/anonymize", content=picture, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-facet-faces"] == "1"
    return answer


def test_proxy_of_the_environment_would_be_used_by_a_channel_with_grpcs_own_options(
    proxied: Stack, proxy: Proxy
) -> None:
    """The proxy is one that works, or the other tests here would prove nothing."""
    call = (
        "import sys, grpc; from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc as stubs;"
        "stubs.HealthStub(grpc.insecure_channel(sys.argv[1])).Check(pb.HealthCheckRequest(), timeout=30)"
    )
    with running_proxy() as another:
        others = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**others, "http_proxy": another.variables["http_proxy"]}
        subprocess.run([sys.executable, "-c", call, proxied.detector.target], check=True, env=environment)
        assert another.asked == [f"CONNECT {proxied.detector.target} HTTP/1.1"]
    assert proxy.asked == []


def test_picture_and_traces_pass_by_the_proxy(
    proxied: Stack, proxy: Proxy, collector: Collector, astronaut_jpeg: bytes
) -> None:
    anonymized(proxied.gateway.url, astronaut_jpeg)
    eventually(
        lambda: {span.tier for span in collector.spans()} >= {"facet-gateway", "facet-detector", "facet-anonymizer"}
    )
    assert proxy.asked == []


def test_client_passes_by_the_proxy(
    proxied: Stack,
    proxy: Proxy,
    proxied_here: None,  # noqa: ARG001
    astronaut_jpeg: bytes,
) -> None:
    with Facet(proxied.gateway.url) as client:
        assert client.anonymize(astronaut_jpeg).faces == 1
    assert proxy.asked == []


@pytest.mark.parametrize("target", ["named", "own"])
def test_command_passes_by_the_proxy(
    proxied: Stack, proxy: Proxy, astronaut_jpeg: bytes, tmp_path: Path, target: str
) -> None:
    picture, hidden = tmp_path / "a.jpg", tmp_path / "hidden.jpg"
    picture.write_bytes(astronaut_jpeg)
    named = ("--target", proxied.gateway.url) if target == "named" else ()
    done = facet("anonymize", picture, "-o", hidden, *named, settings={**QUICK_MODEL, **proxy.variables})
    assert done.returncode == 0, done.stderr.decode()
    assert hidden.read_bytes() != astronaut_jpeg
    assert proxy.asked == []


def test_key_of_a_receipt_is_asked_for_past_the_proxy(
    receipts: RunningTier, proxy: Proxy, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    answer = anonymized(receipts.url, astronaut_jpeg, receipt="true")
    hidden = tmp_path / "hidden.jpg"
    hidden.write_bytes(answer.content)
    receipt = answer.headers["x-facet-receipt"]
    done = facet("verify-receipt", receipt, hidden, "--key", receipts.url, settings=proxy.variables)
    assert done.returncode == 0, done.stderr.decode()
    assert proxy.asked == []


async def test_name_that_this_machine_does_not_know_is_left_to_no_proxy(
    proxy: Proxy,
    proxied_here: None,  # noqa: ARG001
) -> None:
    async with open_channel("dns:///detector.invalid:50051", DETECTOR, SharedSettings()) as channel:
        call: Any = channel.unary_unary("/facet.v1.DetectorService/ListModels")
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"", timeout=10)
    assert proxy.asked == []
