"""Callers who show an API key."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

from gateway.identity.authenticator import bearer_of
from gateway.identity.caller import Allowance, Caller, CallerKind
from gateway.identity.keys import KeyEntry, digest_of, id_of, read_keys
from services.chassis.errors import InvalidCredential
from services.chassis.process.reloaded_files import ReloadedFiles

_NO_DIGEST = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    digest: bytes
    entry: KeyEntry
    caller: Caller


class KeyRing:
    """Knows the keys of a file, and follows its changes."""

    def __init__(self, path: Path, default: Allowance) -> None:
        """Reads the file.

        Args:
            path: A file as `read_keys` takes it.
            default: Where an entry states no limit.

        Raises:
            InvalidRequest: It cannot be read, or is not as it should be.
        """
        self._default = default
        self._file = ReloadedFiles.of_one(path, self._parse)

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller whose key it is. An unknown id takes the same path as a wrong secret."""
        text = bearer_of(authorization)
        key = self._file.current().get(id_of(text))
        matches = hmac.compare_digest(digest_of(text), key.digest if key else _NO_DIGEST)
        if key is None or not matches or key.entry.expired:
            raise InvalidCredential("the key is unknown, expired or revoked")
        return key.caller

    def _parse(self, content: bytes, source: str) -> dict[str, _Key]:
        return {entry.id: self._key(entry) for entry in read_keys(content, source)}

    def _key(self, entry: KeyEntry) -> _Key:
        allowance = Allowance(
            requests_per_s=entry.requests_per_s or self._default.requests_per_s,
            burst=entry.burst or self._default.burst,
            at_once=entry.at_once or self._default.at_once,
        )
        scopes = frozenset(entry.scopes)
        caller = Caller(kind=CallerKind.KEY, id=entry.id, name=entry.name, scopes=scopes, allowance=allowance)
        return _Key(digest=bytes.fromhex(entry.sha256), entry=entry, caller=caller)
