"""Keys are known by their whole text alone, and a file that changes is followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.identity.authenticator import KeysOrTokens
from gateway.identity.caller import Allowance, CallerKind, Scope
from gateway.identity.jwks import JwksFile
from gateway.identity.key_ring import KeyRing
from gateway.identity.keys import KeyEntry, NewKey, digest_of, make_key
from gateway.identity.oidc import OidcTokens
from services.chassis.errors import InvalidCredential, InvalidRequest, Unauthenticated
from tests.support.issuer import AUDIENCE, ISSUER, ed25519_key, jwk, jwks, token

DEFAULT = Allowance(requests_per_s=10, burst=20, at_once=4)


def entry_of(key: NewKey, **changes: object) -> KeyEntry:
    fields = {"name": "page", "id": key.id, "sha256": digest_of(key.text).hex(), "scopes": ["detect"], **changes}
    return KeyEntry.model_validate(fields)


def key_file(folder: Path, *entries: KeyEntry) -> Path:
    path = folder / "keys.toml"
    path.write_text("\n".join(entry.to_toml() for entry in entries))
    return path


async def test_caller_is_whom_the_key_was_made_for(tmp_path: Path) -> None:
    key, other = make_key(), make_key()
    entries = entry_of(key, scopes=["embed", "compare"], burst=3), entry_of(other, name="other")
    ring = KeyRing(key_file(tmp_path, *entries), DEFAULT)
    caller = await ring.authenticate(f"Bearer {key.text}")
    assert (caller.kind, caller.name, caller.id) == (CallerKind.KEY, "page", key.id)
    assert caller.scopes == {Scope.EMBED, Scope.COMPARE}
    assert caller.allowance == Allowance(requests_per_s=10, burst=3, at_once=4)
    assert caller.label == f"key:page/{key.id}"
    assert (await ring.authenticate(f"Bearer {other.text}")).name == "other"


async def test_everything_but_the_whole_key_is_refused_in_the_same_words(tmp_path: Path) -> None:
    key, expired, stranger = make_key(), make_key(), make_key()
    past = datetime.now(UTC) - timedelta(days=1)
    ring = KeyRing(key_file(tmp_path, entry_of(key), entry_of(expired, expires=past)), DEFAULT)
    secret = key.text.removeprefix(f"facet_{key.id}_")
    wrong = [
        stranger.text,
        expired.text,
        key.text[:-1],
        key.text + "x",
        key.text.upper(),
        f"facet_{key.id}_",
        f"facet_{key.id}",
        f"facet_{stranger.id}_{secret}",
        f"facet__{secret}",
        secret,
        digest_of(key.text).hex(),
        "facet_",
        "\xff\xfe",
        "\x00" * 43,
    ]
    told = set()
    for credential in wrong:
        with pytest.raises(InvalidCredential) as raised:
            await ring.authenticate(f"Bearer {credential}")
        told.add(str(raised.value))
    assert told == {"the key is unknown, expired or revoked"}
    with pytest.raises(Unauthenticated):
        await ring.authenticate(None)


async def test_file_that_is_wrong_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        KeyRing(tmp_path / "absent.toml", DEFAULT)
    with pytest.raises(InvalidRequest, match="line 1, key 1, name"):
        KeyRing(_written(tmp_path, "[[keys]]\n"), DEFAULT)


async def test_key_or_token_is_told_apart_by_how_it_begins(tmp_path: Path) -> None:
    key, signer = make_key(), ed25519_key()
    ring = KeyRing(key_file(tmp_path, entry_of(key)), DEFAULT)
    published = tmp_path / "jwks.json"
    published.write_bytes(jwks(jwk("one", signer)))
    tokens = OidcTokens(issuer=ISSUER, audience=AUDIENCE, keys=JwksFile(published), allowance=DEFAULT)
    both = KeysOrTokens(ring, tokens)
    assert (await both.authenticate(f"Bearer {key.text}")).kind is CallerKind.KEY
    assert (await both.authenticate(f"Bearer {token('one', signer, 'EdDSA')}")).kind is CallerKind.TOKEN
    with pytest.raises(InvalidCredential):
        await both.authenticate(f"Bearer {make_key().text}")
    with pytest.raises(InvalidCredential):
        await both.authenticate("Bearer neither")


def _written(folder: Path, text: str) -> Path:
    path = folder / "keys.toml"
    path.write_text(text)
    return path
