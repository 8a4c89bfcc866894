"""Whom the settings let in: everyone only where nobody else reaches, or where the owner says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.identity.authenticator import Anonymous, Authenticator, KeysOrTokens
from gateway.identity.configured import authenticator_of
from gateway.identity.key_ring import KeyRing
from gateway.identity.keys import KeyEntry, digest_of, make_key
from gateway.identity.oidc import OidcTokens
from gateway.settings import GatewaySettings
from services.chassis.errors import InvalidRequest
from tests.support.issuer import ed25519_key, jwk, jwks

OPEN = {"FACET_HOST": "0.0.0.0"}  # noqa: S104
OIDC = {"FACET_GATEWAY_OIDC_ISSUER": "https://login.example.org", "FACET_GATEWAY_OIDC_AUDIENCE": "facet"}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    key = make_key()
    sha256 = digest_of(key.text).hex()
    entry = KeyEntry.model_validate({"name": "page", "id": key.id, "sha256": sha256, "scopes": ["detect"]})
    (tmp_path / "keys.toml").write_text(entry.to_toml())
    return {"FACET_GATEWAY_KEYS": str(tmp_path / "keys.toml")}


@pytest.fixture
def oidc(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "jwks.json").write_bytes(jwks(jwk("one", ed25519_key())))
    return {**OIDC, "FACET_GATEWAY_OIDC_JWKS": str(tmp_path / "jwks.json")}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACET_HOST", "FACET_GATEWAY_KEYS", "FACET_GATEWAY_ALLOW_ANONYMOUS", *OIDC):
        monkeypatch.delenv(name, raising=False)


def configured(monkeypatch: pytest.MonkeyPatch, *settings: dict[str, str]) -> Authenticator:
    for group in settings:
        for name, value in group.items():
            monkeypatch.setenv(name, value)
    return authenticator_of(GatewaySettings())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1", "127.1"])
def test_everyone_is_let_in_where_only_this_machine_reaches(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert isinstance(configured(monkeypatch, {"FACET_HOST": host}), Anonymous)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "0", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "no-such-host.invalid"],  # noqa: S104
)
def test_gateway_does_not_start_where_others_reach_it_and_nobody_said_who(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        configured(monkeypatch, {"FACET_HOST": host})
    for setting in ("FACET_GATEWAY_KEYS", "FACET_GATEWAY_OIDC_ISSUER", "FACET_GATEWAY_ALLOW_ANONYMOUS=true"):
        assert setting in str(raised.value)


def test_everyone_is_let_in_where_the_owner_says_so_and_it_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(configured(monkeypatch, OPEN, {"FACET_GATEWAY_ALLOW_ANONYMOUS": "true"}), Anonymous)
    assert [record.getMessage() for record in caplog.records] == ["everyone may call"]


def test_keys_and_tokens_are_asked_for_wherever_they_are_set(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, str], oidc: dict[str, str]
) -> None:
    with monkeypatch.context() as only_keys:
        assert isinstance(configured(only_keys, keys), KeyRing)
    with monkeypatch.context() as only_tokens:
        assert isinstance(configured(only_tokens, oidc, OPEN), OidcTokens)
    assert isinstance(configured(monkeypatch, keys, oidc, OPEN), KeysOrTokens)


def test_permission_for_everyone_does_not_outweigh_keys(monkeypatch: pytest.MonkeyPatch, keys: dict[str, str]) -> None:
    assert isinstance(configured(monkeypatch, keys, {"FACET_GATEWAY_ALLOW_ANONYMOUS": "true"}), KeyRing)


@pytest.mark.parametrize("missing", ["ISSUER", "AUDIENCE", "JWKS"])
def test_half_an_identity_provider_is_refused(
    monkeypatch: pytest.MonkeyPatch, oidc: dict[str, str], missing: str
) -> None:
    given = {name: value for name, value in oidc.items() if not name.endswith(missing)}
    with pytest.raises(InvalidRequest, match=f"FACET_GATEWAY_OIDC_{missing}: required"):
        configured(monkeypatch, given)


@pytest.mark.parametrize("jwks", ["http://login.example.org/jwks", "https://x:port/", "/no/such/file"])
def test_keys_that_cannot_be_had_safely_are_refused_by_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, jwks: str
) -> None:
    with pytest.raises(InvalidRequest, match="FACET_GATEWAY_OIDC_JWKS: "):
        configured(monkeypatch, OIDC, {"FACET_GATEWAY_OIDC_JWKS": jwks})
    with pytest.raises(InvalidRequest, match="FACET_GATEWAY_KEYS: "):
        configured(monkeypatch, {"FACET_GATEWAY_KEYS": "/no/such/file"})
