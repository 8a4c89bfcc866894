"""Public keys: only those that can verify a signature are used, and an address is asked rarely and over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.identity import jwks as module
from gateway.identity.jwks import MAX_BYTES, MIN_PAUSE_S, JwksUrl, read_jwks
from services.chassis.errors import InvalidRequest, NotReady
from tests.support.issuer import ed25519_key, jwk, jwks, p256_key, rsa_key
from tests.support.waiting import eventually

PRIVATE = {"kty": "OKP", "crv": "Ed25519", "kid": "private", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}
PRIVATE["x"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"  # the pair of RFC 8037, appendix A


class Provider(ThreadingHTTPServer):
    """Publishes keys at an address of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = b""
        self.status = 200
        self.asked = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/jwks"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us hangs up: nothing to tell."""


class _Answer(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        if self.server.status == 302:
            self.send_header("Location", self.server.url)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_each_kind_of_key_verifies_its_own_algorithms_alone() -> None:
    content = jwks(
        jwk("rsa", rsa_key()), jwk("bound", rsa_key(), alg="PS256"), jwk("ec", p256_key()), jwk("ed", ed25519_key())
    )
    found = {kid: key.algorithms for kid, key in read_jwks(content, "jwks").items()}
    assert found == {
        "rsa": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "bound": ("PS256",),
        "ec": ("ES256",),
        "ed": ("EdDSA",),
    }


def test_keys_that_could_be_abused_are_left_out() -> None:
    good = ed25519_key()
    content = jwks(
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
        PRIVATE,
        jwk("weak", rsa_key(1024)),
        jwk("encrypts", ed25519_key(), use="enc"),
        jwk("confused", ed25519_key(), alg="HS256"),
        jwk("none", ed25519_key(), alg="none"),
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "halved", "n": "AQAB"},
        {"kty": ["RSA"], "kid": "odd", "n": 1, "e": []},
        {name: value for name, value in jwk("", ed25519_key()).items() if name != "kid"},
        jwk("good", good),
    )
    assert set(read_jwks(content, "jwks")) == {"good"}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1, null]}', b"[" * 5000, b"\xff"]
)
def test_document_without_a_usable_key_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"published\.json"):
        read_jwks(content, "published.json")


@pytest.mark.parametrize("url", ["http://login.example.org/jwks", "ftp://127.0.0.1x/jwks", "http://127.0.0.1.evil.org"])
def test_keys_are_taken_from_https_alone(url: str) -> None:
    with pytest.raises(InvalidRequest, match="https"):
        JwksUrl(url)


async def test_known_keys_are_not_fetched_again_and_unknown_ones_only_after_a_pause(provider: Provider) -> None:
    clock = Clock()
    source = JwksUrl(provider.url, clock=clock)
    provider.content = jwks(jwk("one", ed25519_key()))
    found = await asyncio.gather(*(source.get("one") for _ in range(20)))
    assert all(found)
    assert provider.asked == 1
    provider.content = jwks(jwk("two", ed25519_key()))
    assert await source.get("two") is None
    assert await source.get("one") is not None
    assert provider.asked == 1
    clock.now_s += MIN_PAUSE_S
    answers = await asyncio.gather(*(source.get(kid) for kid in ("two", "made up", "two", "another")))
    assert [answer is not None for answer in answers] == [True, False, True, False]
    assert await source.get("one") is None
    assert provider.asked == 2


@pytest.mark.parametrize("failure", ["status", "redirect", "rubbish", "too large", "nobody"])
async def test_keys_stay_where_the_provider_fails(provider: Provider, failure: str) -> None:
    clock = Clock()
    source = JwksUrl(provider.url, clock=clock)
    provider.content = jwks(jwk("one", ed25519_key()))
    assert await source.get("one") is not None
    match failure:
        case "status":
            provider.status = 500
        case "redirect":
            provider.status = 302
        case "rubbish":
            provider.content = b"<html>"
        case "too large":
            document = json.loads(jwks(jwk("two", ed25519_key())))
            provider.content = json.dumps(document | {"padding": "x" * MAX_BYTES}).encode()
        case "nobody":
            provider.shutdown()
            provider.server_close()
    clock.now_s += MIN_PAUSE_S
    assert await source.get("two") is None
    assert await source.get("one") is not None


async def test_withdrawn_key_is_forgotten_though_nobody_shows_an_unknown_one(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_EVERY_S", 0.01)
    clock = Clock()
    source = JwksUrl(provider.url, clock=clock)
    provider.content = jwks(jwk("one", ed25519_key()), jwk("two", ed25519_key()))
    monkeypatch.setattr(module, "MIN_PAUSE_S", 0.0)
    assert await source.get("one") is not None
    provider.content = jwks(jwk("two", ed25519_key()))
    asked = provider.asked
    await asyncio.to_thread(eventually, lambda: provider.asked > asked + 1)
    monkeypatch.setattr(module, "MIN_PAUSE_S", 3600.0)  # what is shown below is fetched no more
    assert await source.get("one") is None


async def test_nobody_is_refused_as_a_forger_before_the_first_keys_are_there(provider: Provider) -> None:
    provider.status = 503
    with pytest.raises(NotReady, match="could not be fetched"):
        await JwksUrl(provider.url).get("one")


async def test_provider_is_believed_only_with_a_certificate_that_is_vouched_for(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _serve_tls(provider, tmp_path)
    provider.content = jwks(jwk("one", ed25519_key()))
    with pytest.raises(NotReady):
        await JwksUrl(provider.url).get("one")
    assert provider.asked == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await JwksUrl(provider.url).get("one") is not None


def _serve_tls(provider: Provider, folder: Path) -> Path:
    """Has it serve https with a certificate of its own making; answers the certificate's file."""
    key, name = p256_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    provider.socket = context.wrap_socket(provider.socket, server_side=True)
    provider.scheme = "https"
    return certificate
