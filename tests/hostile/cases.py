"""Fuzzed requests by number: each is made from the seed and its number alone, so that one can be sent again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.hostile.grpc_requests import GrpcCall, grpc_call
from tests.hostile.http_requests import HttpRequest, Identities, framed_request, unframed_request

REQUEST_ID = "fuzz-"
"""Begins the id of each, which ends with its number: an error in a log tells by what it was caused."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Bytes for a gRPC port that are no HTTP/2, or hardly."""

    tier: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to send."""

    kind: str
    what: HttpRequest | GrpcCall | Garbage
    to_guarded: bool = False
    """Whether to the gateway that asks for credentials."""


def case_of(seed: int, number: int, identities: Identities) -> Case:
    """The request of that number; but for credentials it is the same every time."""
    chance = Random(f"{seed}/{number}")  # noqa: S311  (the same requests every time)
    request_id = f"{REQUEST_ID}{number}"
    to_guarded = chance.random() < 0.25
    drawn = chance.random()
    if drawn < 0.55:
        return Case(kind="http", what=framed_request(chance, request_id, identities), to_guarded=to_guarded)
    if drawn < 0.7:
        return Case(kind="raw http", what=unframed_request(chance, request_id, identities), to_guarded=to_guarded)
    if drawn < 0.98:
        return Case(kind="grpc", what=grpc_call(chance))
    tier = chance.choice(("detector", "anonymizer", "embedder"))
    preface = chance.choice((b"", _PREFACE, _PREFACE + _EMPTY_SETTINGS))
    return Case(kind="raw http/2", what=Garbage(tier=tier, content=preface + chance.randbytes(chance.randint(1, 200))))
