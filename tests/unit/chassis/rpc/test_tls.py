"""Certificates from files: renewed under a running server, refused where they do not belong together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import SharedSettings, TlsSettings
from services.chassis.rpc import channels
from services.chassis.rpc.channels import server_options
from services.chassis.rpc.health import HealthServicer
from services.chassis.rpc.tls import Identities, Identity, channel_credentials, identities_of, server_credentials
from tests.support.certificates import CLIENT, SERVER, Authority, Secret, ends_at

KUBERNETES = Path(__file__).parents[4] / "k8s"
USAGES = {"server auth": SERVER, "client auth": CLIENT}
AUTHORITY = Authority()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, AUTHORITY.issue(SERVER))


def write(folder: Path, secret: Secret) -> Path:
    """Replaces the files: written in place within one tick of the clock, they could look unchanged."""
    for name, content in secret.items():
        fresh = folder / "fresh"
        fresh.write_bytes(content)
        fresh.rename(folder / name)
    return folder


def identities_in(folder: Path) -> Identities:
    settings = TlsSettings(certificate=folder / "tls.crt", key=folder / "tls.key", ca=folder / "ca.crt")
    identities = identities_of(settings)
    assert identities is not None
    return identities


def identity_of(folder: Path, secret: Secret) -> Identity:
    folder.mkdir()
    return identities_in(write(folder, secret)).current()


@asynccontextmanager
async def served(identities: Identities) -> AsyncIterator[int]:
    """A port that answers health."""
    server = grpc.aio.server(options=server_options(SharedSettings()))
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(identities))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def ask(port: int, identity: Identity, name: str = "localhost") -> str:
    """Asks over a connection of its own; answers "served", or gRPC's words."""
    options: list[tuple[str, Any]] = [
        ("grpc.ssl_target_name_override", name),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    ]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", channel_credentials(identity), options) as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
    return "served"


async def test_server_is_believed_under_the_names_of_its_certificate_alone(folder: Path, tmp_path: Path) -> None:
    client = identity_of(tmp_path / "client", AUTHORITY.issue(CLIENT))
    async with served(identities_in(folder)) as port:
        assert await ask(port, client) == "served"
        assert "Hostname Verification" in await ask(port, client, "detector")


async def test_server_of_another_authority_is_not_believed(folder: Path, tmp_path: Path) -> None:
    client = identity_of(tmp_path / "client", {**AUTHORITY.issue(CLIENT), "ca.crt": Authority().pem})
    async with served(identities_in(folder)) as port:
        assert "unable to get local issuer certificate" in await ask(port, client)


async def test_handshakes_use_the_certificate_and_the_authority_of_their_moment(folder: Path, tmp_path: Path) -> None:
    other = Authority()
    before = identity_of(tmp_path / "before", AUTHORITY.issue(CLIENT))
    after = identity_of(tmp_path / "after", other.issue(CLIENT))
    async with served(identities_in(folder)) as port:
        assert await ask(port, before) == "served"
        assert await ask(port, after) != "served"
        write(folder, other.issue(SERVER))
        assert await ask(port, before) != "served"
        assert await ask(port, after) == "served"


async def test_authority_is_changed_by_way_of_both(folder: Path, tmp_path: Path) -> None:
    new = Authority()
    both = {"ca.crt": AUTHORITY.pem + new.pem}
    alone = identity_of(tmp_path / "alone", AUTHORITY.issue(CLIENT))
    before = identity_of(tmp_path / "before", {**AUTHORITY.issue(CLIENT), **both})
    after = identity_of(tmp_path / "after", {**new.issue(CLIENT), **both})
    async with served(identities_in(folder)) as port:
        write(folder, both)
        assert await ask(port, alone) == await ask(port, before) == await ask(port, after) == "served"
        write(folder, {**new.issue(SERVER), **both})
        assert await ask(port, before) == await ask(port, after) == "served"
        write(folder, {"ca.crt": new.pem})
        assert await ask(port, before) != "served"
        assert await ask(port, after) == "served"


async def test_certificate_without_its_key_leaves_the_pair_before_in_use(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = identity_of(tmp_path / "client", AUTHORITY.issue(CLIENT))
    renewed = AUTHORITY.issue(SERVER, names=["renewed"])
    async with served(identities_in(folder)) as port:
        write(folder, {"tls.crt": renewed["tls.crt"]})
        assert await ask(port, client) == await ask(port, client) == "served"
        [record] = caplog.records  # said once, not at every handshake
        assert record.message == "files not reloaded"
        assert record.__dict__["fields"] == {"why": f"{folder}/tls.key is not the key of {folder}/tls.crt"}

        write(folder, {"tls.key": renewed["tls.key"]})
        assert await ask(port, client, "renewed") == "served"


async def test_client_that_connects_and_says_nothing_is_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "HANDSHAKE_S", 0.2)
    async with served(identities_in(folder)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()


def test_key_is_taken_up_whichever_of_the_pair_comes_first(folder: Path) -> None:
    identities = identities_in(folder)
    before, renewed = identities.current(), AUTHORITY.issue(SERVER)
    write(folder, {"tls.key": renewed["tls.key"]})
    assert identities.current() is before
    write(folder, {"tls.crt": renewed["tls.crt"]})
    assert identities.current().key == renewed["tls.key"]


def test_files_that_vanish_leave_the_pair_before_in_use(folder: Path) -> None:
    identities = identities_in(folder)
    before = identities.current()
    (folder / "ca.crt").unlink()
    assert identities.current() is before


def test_unchanged_files_are_one_and_the_same_identity(folder: Path) -> None:
    identities = identities_in(folder)
    assert identities.current() is identities.current()


def test_chain_ends_with_the_first_of_its_certificates(folder: Path) -> None:
    own, intermediate = AUTHORITY.issue(SERVER, lifetime_s=500), AUTHORITY.issue(SERVER, lifetime_s=100)
    write(folder, {**own, "tls.crt": own["tls.crt"] + intermediate["tls.crt"]})
    assert identities_in(folder).current().ends.timestamp() == ends_at(intermediate)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("tls.crt", b"", "tls.crt does not hold a PEM certificate"),
        ("tls.crt", AUTHORITY.issue(SERVER)["tls.crt"], "tls.key is not the key of"),
        (
            "tls.key",
            b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----",
            "tls.key does not hold a PEM private key",
        ),
        ("ca.crt", b"not PEM", "ca.crt does not hold a PEM certificate"),
        ("ca.crt", None, "ca.crt cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_its_content(
    folder: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        write(folder, {name: content})
    with pytest.raises(InvalidRequest, match=told) as raised:
        identities_in(folder)
    assert "c2VjcmV0" not in str(raised.value)


@pytest.mark.parametrize("tier", ["detector", "embedder", "anonymizer"])
async def test_certificates_asked_for_in_kubernetes_are_what_the_gateway_and_the_tiers_take(
    tier: str, tmp_path: Path
) -> None:
    asked = {each["metadata"]["name"]: each["spec"] for each in _manifests("components/mutual-tls/certificates.yaml")}

    def issued(name: str) -> Secret:
        usages = [USAGES[usage] for usage in asked[name]["usages"] if usage in USAGES]
        return AUTHORITY.issue(*usages, names=asked[name]["dnsNames"])

    [base] = _manifests("base/kustomization.yaml")
    literals = [line for generator in base["configMapGenerator"] for line in generator.get("literals", [])]
    [target] = [line.partition("=")[2] for line in literals if line.startswith(f"FACET_{tier.upper()}_TARGET=")]
    called = target.removeprefix("dns:///").partition(":")[0]

    gateway = identity_of(tmp_path / "gateway", issued("gateway"))
    own = tmp_path / tier
    itself = identity_of(own, issued(tier))
    async with served(identities_in(own)) as port:
        assert await ask(port, gateway, called) == "served"
        assert await ask(port, itself, called) != "served"  # tiers never call each other


def _manifests(path: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / path).read_text()))
