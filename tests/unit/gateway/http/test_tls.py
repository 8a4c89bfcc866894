"""HTTPS over real sockets: certificates that are renewed, and clients that hold up the handshake."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.http.connections import BoundedHttpProtocol, BoundedServer
from gateway.http.tls import listening_context, served_of
from gateway.settings import GatewaySettings, GatewayTlsSettings
from services.chassis.errors import InvalidRequest
from services.chassis.process.settings import load_settings
from tests.support.certificates import SERVER, Authority, Secret, ends_at

AUTHORITY = Authority()
REQUEST = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
HEAD = b"GET / HTTP/1.1\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ImpatientServer(BoundedServer):
    patience_s = 0.3


class ImpatientProtocol(BoundedHttpProtocol):
    patience_s = 0.3


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["scheme"])(scope, receive, send)


def write(folder: Path, secret: Secret) -> None:
    """Replaces the files: written in place within one tick of the clock, they could look unchanged."""
    for name, content in secret.items():
        fresh = folder / "fresh"
        fresh.write_bytes(content)
        fresh.rename(folder / name)


@pytest.fixture
def settings(tmp_path: Path) -> GatewayTlsSettings:
    write(tmp_path, AUTHORITY.issue(SERVER))
    return GatewayTlsSettings(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")


@pytest.fixture
async def port(settings: GatewayTlsSettings) -> AsyncIterator[int]:
    served = served_of(settings)
    assert served is not None
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        answering,
        http=ImpatientProtocol,
        lifespan="off",
        log_config=None,
        ssl_context_factory=lambda _config, _default: listening_context(served),
    )
    server = ImpatientServer(config, most_connections=100)
    serving = asyncio.create_task(server.serve([listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


async def connect(port: int, context: ssl.SSLContext | None = None) -> Streams:
    trusting = context or ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    return await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="localhost")


async def answer(streams: Streams) -> bytes:
    reader, writer = streams
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(5)


async def close(*connections: Streams) -> None:
    for _, writer in connections:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


def end_shown(streams: Streams) -> float:
    shown = streams[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()


async def test_connection_is_https_of_http_1_1_over_tls_1_2_or_later(port: int) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    streams = await connect(port, context)
    assert (await answer(streams)).endswith(b"https")
    tls = streams[1].get_extra_info("ssl_object")
    assert tls.selected_alpn_protocol() == "http/1.1"
    assert tls.version() == "TLSv1.3"
    await close(streams)


def test_neither_tls_before_1_2_nor_a_cipher_without_forward_secrecy_is_spoken(settings: GatewayTlsSettings) -> None:
    served = served_of(settings)
    assert served is not None
    context = served.current().context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    older = [cipher for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert older
    assert all(cipher["name"].startswith("ECDHE-") and cipher["aead"] for cipher in older)


async def test_renewed_certificate_is_shown_to_the_next_client_and_cuts_nobody_off(port: int, tmp_path: Path) -> None:
    before = await connect(port)
    renewed = AUTHORITY.issue(SERVER, lifetime_s=5000)
    write(tmp_path, renewed)
    after = await connect(port)
    assert end_shown(before) != end_shown(after) == ends_at(renewed)
    assert (await answer(before)).endswith(b"https")
    assert (await answer(after)).endswith(b"https")
    await close(before, after)


async def test_certificate_without_its_key_is_not_shown(port: int, tmp_path: Path) -> None:
    first = await connect(port)
    write(tmp_path, {"tls.crt": AUTHORITY.issue(SERVER, lifetime_s=5000)["tls.crt"]})
    second = await connect(port)
    assert end_shown(first) == end_shown(second)
    await close(first, second)


async def test_handshake_that_never_ends_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_headers_that_never_end_are_refused_under_tls_too(port: int) -> None:
    reader, writer = streams = await connect(port)
    writer.write(HEAD)
    async with asyncio.timeout(5):
        assert b"408 Request Timeout" in await reader.read()
    await close(streams)


async def test_plaintext_is_not_answered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    async with asyncio.timeout(5):
        assert b"HTTP" not in await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize("key", [b"", AUTHORITY.issue(SERVER)["tls.key"]])
def test_key_of_another_certificate_is_refused(settings: GatewayTlsSettings, tmp_path: Path, key: bytes) -> None:
    write(tmp_path, {"tls.key": key})
    with pytest.raises(InvalidRequest, match=r"tls.key does not hold the private key of .*tls.crt as PEM"):
        served_of(settings)


def test_certificate_without_a_key_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_GATEWAY_TLS_CERTIFICATE", "tls.crt")
    with pytest.raises(SystemExit, match="FACET_GATEWAY_TLS_CERTIFICATE and FACET_GATEWAY_TLS_KEY: set both or none"):
        load_settings(GatewaySettings)
