"""API keys: `facet_<id>_<secret>`, and the TOML file that says what each may do.

A key's secret is 256 random bits, so one fast SHA-256 of the key is kept: slow hashes protect what people think up and
others can guess, and here there is nothing to guess. A slow one would only let strangers keep the gateway busy.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, Strict, StringConstraints, ValidationError

from gateway.identity.caller import Scope
from services.chassis.errors import InvalidRequest

_PREFIX = "facet_"
_ID_BYTES = 6
_SECRET_BYTES = 32
_TABLE = re.compile(r"^[ \t]*\[\[[ \t]*keys[ \t]*\]\]", re.MULTILINE)

_Count = Annotated[int, Strict(), Field(ge=1)]


class KeyEntry(BaseModel):
    """What the file says of one key."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$")]
    """Whose it is; an old key and its successor may share it."""
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the whole key, in hexadecimal."""
    scopes: Annotated[list[Scope], Field(min_length=1)]
    expires: Annotated[AwareDatetime, Strict()] | None = None
    """With its offset from UTC; None = never."""
    requests_per_s: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] | None = None
    """Like the next two: None = the gateway's default."""
    burst: _Count | None = None
    at_once: _Count | None = None

    @property
    def expired(self) -> bool:
        """Whether it is no longer accepted."""
        return self.expires is not None and self.expires <= datetime.now(UTC)

    def to_toml(self) -> str:
        """The entry as it stands in the file."""
        fields = self.model_dump(exclude_none=True, exclude={"expires"})  # JSON's texts, numbers and lists are TOML's
        lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
        if self.expires is not None:
            lines.append(f"expires = {self.expires.isoformat(timespec='seconds')}")
        return "\n".join(("[[keys]]", *lines))


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    keys: Annotated[list[KeyEntry], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made, and that nobody can read again."""

    id: str
    text: str
    """Secret."""


def make_key() -> NewKey:
    """A new key."""
    key_id = secrets.token_hex(_ID_BYTES)
    return NewKey(id=key_id, text=f"{_PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}")


def is_key(credential: str) -> bool:
    """Whether it looks like a key."""
    return credential.startswith(_PREFIX)


def id_of(key: str) -> str:
    """The part of a key that is not secret; of what is no key, anything."""
    return key.removeprefix(_PREFIX).partition("_")[0]


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key."""
    return hashlib.sha256(key.encode()).digest()


def read_keys(content: bytes, source: str) -> list[KeyEntry]:
    """The entries of a key file.

    Raises:
        InvalidRequest: It is not as it should be; the message tells where in `source`, and repeats no value.
    """
    try:
        text = content.decode()
        entries = _KeyFile.model_validate(tomllib.loads(text)).keys
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{source}: {error}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{source}: it is not UTF-8 text") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InvalidRequest(f"{source}{_place(text, wrong['loc'])}: {wrong['msg']}") from None
    ids: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.id in ids:
            raise InvalidRequest(f"{source}{_place(text, ('keys', index, 'id'))}: another key has the same id")
        ids.add(entry.id)
    return entries


def _place(text: str, location: tuple[int | str, ...]) -> str:
    """Where in the file an error is: the line of the field, or of its table where the field is missing."""
    indices = [part for part in location if isinstance(part, int)]
    field = next((part for part in reversed(location) if isinstance(part, str)), "")
    tables = [table.start() for table in _TABLE.finditer(text)]
    if not indices or indices[0] >= len(tables):
        return f", {field}"
    index = indices[0]
    start, end = tables[index], ([*tables, len(text)])[index + 1]
    found = re.compile(rf"^[ \t]*{re.escape(field)}[ \t]*=", re.MULTILINE).search(text, start, end)
    line = text.count("\n", 0, found.start() if found else start) + 1
    return f", line {line}, key {index + 1}, {field}"
