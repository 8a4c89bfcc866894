"""Keys are random, and their file is read strictly: what is wrong is told by line and field, never by value."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, digest_of, id_of, is_key, make_key, read_keys
from services.chassis.errors import InvalidRequest

DIGEST = "0123456789abcdef" * 4
GOOD = f"""\
# Those of the newsroom.
[[keys]]
name = "newsletter"
id = "0123456789ab"
sha256 = "{DIGEST}"
scopes = ["anonymize"]

[[keys]]
name = "archive"
id = "ba9876543210"
sha256 = "{DIGEST}"
scopes = ["detect", "embed"]
expires = 2030-01-01T00:00:00Z
requests_per_s = 2
burst = 5
at_once = 1
"""


def entry(**changes: object) -> KeyEntry:
    fields = {"name": "page", "id": "0123456789ab", "sha256": DIGEST, "scopes": ["detect"], **changes}
    return KeyEntry.model_validate(fields)


def test_made_keys_differ_and_tell_their_id() -> None:
    keys = [make_key() for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    assert all(is_key(key.text) and id_of(key.text) == key.id for key in keys)
    assert all(len(key.text.removeprefix(f"facet_{key.id}_")) == 43 for key in keys)  # 256 bits in base64


def test_digest_is_what_sha256sum_says_of_the_whole_key() -> None:
    key = make_key().text
    assert digest_of(key).hex() == hashlib.sha256(key.encode("ascii")).hexdigest()


def test_file_says_what_each_key_may_do() -> None:
    newsletter, archive = read_keys(GOOD.encode(), "keys.toml")
    assert newsletter.scopes == [Scope.ANONYMIZE]
    assert (newsletter.expires, newsletter.requests_per_s, newsletter.burst, newsletter.at_once) == (None,) * 4
    assert archive.scopes == [Scope.DETECT, Scope.EMBED]
    assert archive.expires == datetime(2030, 1, 1, tzinfo=UTC)
    assert (archive.requests_per_s, archive.burst, archive.at_once) == (2, 5, 1)


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('name = "archive"', 'name = "ar\\nchive"', "line 9, key 2, name"),
        ('name = "archive"', "", "line 8, key 2, name: Field required"),
        ('id = "ba9876543210"', 'id = "BA9876543210"', "line 10, key 2, id"),
        ('id = "ba9876543210"', 'id = "0123456789ab"', "line 10, key 2, id: another key has the same id"),
        ('scopes = ["anonymize"]', 'scopes = ["anonymise"]', "line 6, key 1, scopes"),
        ('scopes = ["anonymize"]', "scopes = []", "line 6, key 1, scopes"),
        ('scopes = ["anonymize"]', 'scopes = "anonymize"', "line 6, key 1, scopes"),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00", "line 13, key 2, expires"),
        ("2030-01-01T00:00:00Z", '"never"', "line 13, key 2, expires"),
        ("2030-01-01T00:00:00Z", "1893456000", "line 13, key 2, expires"),
        ("requests_per_s = 2", "requests_per_s = 0", "line 14, key 2, requests_per_s"),
        ("requests_per_s = 2", "requests_per_s = inf", "line 14, key 2, requests_per_s"),
        ("burst = 5", "burst = 0.5", "line 15, key 2, burst"),
        ("burst = 5", "burst = true", "line 15, key 2, burst"),
        ("at_once = 1", "at_onec = 1", "line 16, key 2, at_onec: Extra inputs"),
        ('[[keys]]\nname = "archive"', '[[key]]\nname = "archive"', "keys.toml, key: Extra inputs"),
        ('name = "archive"', "name = archive", "line 9"),
    ],
)
def test_mistake_is_told_by_line_and_field(good: str, bad: str, told: str) -> None:
    assert good in GOOD
    with pytest.raises(InvalidRequest) as raised:
        read_keys(GOOD.replace(good, bad).encode(), "keys.toml")
    assert str(raised.value).startswith("keys.toml")
    assert told in str(raised.value)


@pytest.mark.parametrize("field", ["sha256", "id", "scopes", "name", "expires", "burst"])
def test_key_pasted_into_the_wrong_field_is_not_repeated(field: str) -> None:
    key = make_key().text
    pasted = f'[[keys]]\nname = "x"\nid = "0123456789ab"\nsha256 = "{DIGEST}"\nscopes = ["detect"]\n'
    lines = [line for line in pasted.splitlines() if not line.startswith(field)]
    with pytest.raises(InvalidRequest) as raised:
        read_keys("\n".join([*lines, f'{field} = "{key}!"']).encode(), "keys.toml")
    assert key not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("content", [b"", b"keys = []", b"\xff", b"keys = 1", b"keys = [1]"])
def test_file_without_a_key_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"keys\.toml"):
        read_keys(content, "keys.toml")


def test_entry_written_is_the_entry_read() -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    for written in (entry(), entry(expires=later, requests_per_s=0.5, burst=2, at_once=3)):
        [read] = read_keys(written.to_toml().encode(), "keys.toml")
        assert read == written


def test_key_expires_at_its_time() -> None:
    now = datetime.now(UTC)
    assert not entry().expired
    assert not entry(expires=now + timedelta(minutes=1)).expired
    assert entry(expires=now - timedelta(seconds=1)).expired
