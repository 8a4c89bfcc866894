"""Mutual TLS between real processes: who is refused, what stays in plaintext, and certificates that are renewed."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.local_stack.supervisor import TIERS, Supervisor
from facet.v1 import anonymizer_pb2, anonymizer_pb2_grpc
from gateway.settings import GatewaySettings, TargetSettings
from gateway.tiers.channels import Tiers
from gateway.tiers.deadline import Deadline
from services.chassis.errors import NotReady
from services.chassis.process.settings import SharedSettings, TlsSettings
from tests.support.certificates import CLIENT, SERVER, Authority, MountedSecret, Secret, ends_at
from tests.support.clients import ANONYMIZER, ASTRONAUTS_FACE, anonymize_request, metrics_of
from tests.support.processes import RunningTier, start

AUTHORITY = Authority()
EXPIRY = "facet_anonymizer_certificate_expiry_timestamp_seconds{certificate=grpc}"
AGE_S = 0.3


class Mounted:
    """The Secrets of a tier and of the gateway."""

    def __init__(self, folder: Path) -> None:
        self.tier = MountedSecret(folder / "anonymizer", AUTHORITY.issue(SERVER, names=["anonymizer"]))
        self.gateway = MountedSecret(folder / "gateway", AUTHORITY.issue(CLIENT, names=["gateway"]))


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Mounted:
    return Mounted(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tier(mounted: Mounted) -> Iterator[RunningTier]:
    """Whose connections end every moment, so that there are always handshakes."""
    settings = {**mounted.tier.settings, "FACET_HEALTH_PORT": "0", "FACET_MAX_CONNECTION_AGE_S": str(AGE_S)}
    running = start("anonymizer", **settings)
    running.wait_ready()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _valid_certificates(mounted: Mounted) -> None:
    mounted.tier.swap(AUTHORITY.issue(SERVER, names=["anonymizer"]))
    mounted.gateway.swap(AUTHORITY.issue(CLIENT, names=["gateway"]))


def client_settings(secret: MountedSecret) -> SharedSettings:
    return SharedSettings(tls=TlsSettings(certificate=secret.certificate, key=secret.key, ca=secret.ca))


@asynccontextmanager
async def gateways_client(tier: RunningTier, secret: MountedSecret) -> AsyncIterator[Tiers]:
    """The gateway's own client of the tier."""
    tiers = Tiers(TargetSettings(anonymizer_target=tier.target), client_settings(secret))
    try:
        yield tiers
    finally:
        await tiers.close()


async def hide(tiers: Tiers, picture: bytes) -> anonymizer_pb2.AnonymizeImageResponse:
    request = anonymize_request(picture, ASTRONAUTS_FACE)
    return await tiers.anonymizer.call(tiers.anonymizer_stub.AnonymizeImage, request, Deadline(20))


async def eventually_hidden(tiers: Tiers, picture: bytes) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await hide(tiers, picture)
            except NotReady:
                await asyncio.sleep(0.05)
            else:
                return


async def eventually_refused(tiers: Tiers, picture: bytes) -> str:
    """What the caller is told."""
    async with asyncio.timeout(20):
        while True:
            try:
                await hide(tiers, picture)
                await asyncio.sleep(0.05)
            except NotReady as error:
                if "certificate" in str(error):
                    return str(error)


async def test_gateway_is_served(tier: RunningTier, mounted: Mounted, astronaut_jpeg: bytes) -> None:
    async with gateways_client(tier, mounted.gateway) as tiers:
        assert (await hide(tiers, astronaut_jpeg)).image.content
        assert (await tiers.anonymizer.state()).ready


def credentials(secret: Secret) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(AUTHORITY.pem, secret["tls.key"], secret["tls.crt"])


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(None, id="plaintext"),
        pytest.param(grpc.ssl_channel_credentials(AUTHORITY.pem), id="no certificate"),
        pytest.param(credentials(Authority().issue(CLIENT)), id="another authority's"),
        pytest.param(credentials(AUTHORITY.issue(SERVER, names=["detector"])), id="a tier's own"),
        pytest.param(credentials(AUTHORITY.issue(CLIENT, lifetime_s=-1)), id="expired"),
    ],
)
async def test_anyone_else_is_refused(tier: RunningTier, refused: grpc.ChannelCredentials | None) -> None:
    options = [("grpc.enable_retries", 0)]
    channel = (
        grpc.aio.insecure_channel(tier.target, options)
        if refused is None
        else grpc.aio.secure_channel(tier.target, refused, options)
    )
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_port_answers_health_in_plaintext_and_nothing_else(
    tier: RunningTier, astronaut_jpeg: bytes
) -> None:
    port = tier.health_port
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=ANONYMIZER))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub: Any = anonymizer_pb2_grpc.AnonymizerServiceStub
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub(channel).AnonymizeImage(anonymize_request(astronaut_jpeg, ASTRONAUTS_FACE), timeout=10)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_no_call_fails_while_all_certificates_are_renewed(
    tier: RunningTier, mounted: Mounted, astronaut_jpeg: bytes
) -> None:
    renewed = AUTHORITY.issue(SERVER, names=["anonymizer"], lifetime_s=5000)
    calls = 0
    async with gateways_client(tier, mounted.gateway) as tiers:
        await hide(tiers, astronaut_jpeg)
        first = tiers.anonymizer.channel
        done = asyncio.Event()

        async def go_on() -> None:
            nonlocal calls
            while not done.is_set():
                await hide(tiers, astronaut_jpeg)
                calls += 1

        async with asyncio.TaskGroup() as callers:
            for _ in range(3):
                callers.create_task(go_on())
            await asyncio.sleep(AGE_S)
            mounted.gateway.swap(AUTHORITY.issue(CLIENT, names=["gateway"]))
            await asyncio.sleep(AGE_S)
            mounted.tier.swap(renewed)
            await asyncio.sleep(3 * AGE_S)
            done.set()
        assert tiers.anonymizer.channel is not first
    assert calls > 10
    assert metrics_of(tier)[EXPIRY] == ends_at(renewed)


async def test_expired_certificate_of_a_tier_is_named_until_it_is_renewed(
    tier: RunningTier, mounted: Mounted, astronaut_jpeg: bytes
) -> None:
    async with gateways_client(tier, mounted.gateway) as tiers:
        await hide(tiers, astronaut_jpeg)
        mounted.tier.swap(AUTHORITY.issue(SERVER, names=["anonymizer"], lifetime_s=1))
        told = await eventually_refused(tiers, astronaut_jpeg)
        assert "Its certificate is not accepted: certificate has expired." in told
        assert "certificate has expired" in (await tiers.anonymizer.state()).detail
        mounted.tier.swap(AUTHORITY.issue(SERVER, names=["anonymizer"]))
        await eventually_hidden(tiers, astronaut_jpeg)


async def test_expired_certificate_of_the_gateway_is_named_until_it_is_renewed(
    tier: RunningTier, mounted: Mounted, astronaut_jpeg: bytes
) -> None:
    mounted.gateway.swap(AUTHORITY.issue(CLIENT, names=["gateway"], lifetime_s=2))
    async with gateways_client(tier, mounted.gateway) as tiers:
        await hide(tiers, astronaut_jpeg)
        assert "The gateway's own certificate (FACET_TLS_CERTIFICATE) expired at" in await eventually_refused(
            tiers, astronaut_jpeg
        )
        mounted.gateway.swap(AUTHORITY.issue(CLIENT, names=["gateway"]))
        await eventually_hidden(tiers, astronaut_jpeg)


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        pytest.param({**AUTHORITY.issue(CLIENT), "ca.crt": Authority().pem}, "not accepted", id="distrusts the tier"),
        pytest.param({**Authority().issue(CLIENT), "ca.crt": AUTHORITY.pem}, "ended the TLS", id="the tier distrusts"),
        pytest.param(AUTHORITY.issue(SERVER), "with the usage `client auth`", id="may be no client"),
    ],
)
async def test_state_of_a_tier_tells_what_is_wrong_with_a_certificate(
    tier: RunningTier, tmp_path: Path, secret: Secret, told: str
) -> None:
    async with gateways_client(tier, MountedSecret(tmp_path / "tls", secret)) as tiers:
        state = await tiers.anonymizer.state()
    assert not state.ready
    assert told in state.detail


async def test_tier_that_is_down_is_not_told_as_one_of_another_authority(mounted: Mounted) -> None:
    tiers = Tiers(TargetSettings(anonymizer_target="127.0.0.1:1"), client_settings(mounted.gateway))
    try:
        assert (await tiers.anonymizer.state()).detail.endswith("Is it running?")
    finally:
        await tiers.close()


async def test_certificate_of_the_wrong_kind_does_not_replace_a_right_one(
    tier: RunningTier, mounted: Mounted, astronaut_jpeg: bytes
) -> None:
    async with gateways_client(tier, mounted.gateway) as tiers:
        await hide(tiers, astronaut_jpeg)
        mounted.gateway.swap(AUTHORITY.issue(SERVER, names=["gateway"]))
        until = time.monotonic() + 2 * AGE_S
        while time.monotonic() < until:  # over connections that are made after the swap
            await hide(tiers, astronaut_jpeg)


async def test_all_parts_of_one_machine_start_with_tls_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = MountedSecret(tmp_path / "tls", AUTHORITY.issue(SERVER, CLIENT, names=["faces.example"]))
    https = {"FACET_GATEWAY_TLS_CERTIFICATE": str(secret.certificate), "FACET_GATEWAY_TLS_KEY": str(secret.key)}
    ports = {f"FACET_{part}_{port}": "0" for part in ("ANONYMIZER", "GATEWAY") for port in ("PORT", "METRICS_PORT")}
    taken = socket.create_server(("127.0.0.1", 0))  # a port that two parts would open is as good as taken
    health = {"FACET_HEALTH_PORT": str(taken.getsockname()[1])}
    for name, value in {**secret.settings, **https, **ports, **health, "FACET_DRAIN_S": "0"}.items():
        monkeypatch.setenv(name, value)
    said: list[tuple[str, str]] = []
    supervisor = Supervisor(
        GatewaySettings(),
        lambda name, _level, text: said.append((name, text)),
        tiers=[part for part in TIERS if part.name == "anonymizer"],
        needed=["anonymizer"],
    )
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(supervisor.serve(address.set_result))
    either: set[asyncio.Future[Any]] = {running, address}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    assert address.done(), said

    try:
        url = address.result()
        assert url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            by_address = await client.get(url.replace("localhost", "127.0.0.1") + "/healthz")
            [listening] = [text for name, text in said if name == "gateway" and text.startswith("listening ")]
            metrics_port = listening.rpartition("metrics_port=")[2]
            metrics = (await client.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        assert by_address.headers["Strict-Transport-Security"] == "max-age=31536000"
        for use in ("grpc", "http"):
            assert f'facet_gateway_certificate_expiry_timestamp_seconds{{certificate="{use}"}}' in metrics
    finally:
        supervisor.stop()
        taken.close()
        assert await running == 0
