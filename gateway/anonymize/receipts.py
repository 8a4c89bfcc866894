"""Receipts: what was hidden in a picture, signed, as a compact JWS (RFC 7515) with Ed25519 (RFC 8037)."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, ValidationError

from facet.v1 import anonymizer_pb2, geometry_pb2
from services.chassis.errors import InvalidRequest
from services.chassis.rpc.request_id import current_request_id
from services.chassis.version import facet_version

ALGORITHM = "EdDSA"
MAX_REGIONS = 1500
"""More do not fit into a header that common clients read."""

Region = tuple[int, int, int, int]  # x_min, y_min, x_max, y_max: pixels of the upright picture, maxima exclusive


class Receipt(BaseModel):
    """The signed claims. None of them is a pixel or an embedding."""

    model_config = ConfigDict(frozen=True)

    iat: int
    """When, seconds since 1970."""
    input_sha256: str
    output_sha256: str
    regions: list[Region]
    """The hidden boxes within the picture, rounded outwards; what is hidden reaches `margin` beyond each."""
    style: str
    """Of what the check did not hide again in one colour."""
    shape: str
    strength: float
    margin: float
    allow_weak: bool
    chosen_by: str = ""
    """Who or what chose the faces: search, caller, keep or only; empty in receipts of old versions."""
    faces_found: int | None = None
    """How many faces were found in the original; None where nothing was searched before it was hidden."""
    faces_visible: int | None = None
    """How many found faces stay visible; None where neither the original nor the result was searched."""
    detection_model: str
    """That found the faces; empty where nothing was searched before it was hidden."""
    embedding_model: str
    """Empty where nobody was compared."""
    check: str
    """Its outcome; empty where none was asked for."""
    check_model: str = ""
    """That searched the result; empty where no check was asked for."""
    facet_version: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionClaims:
    """How the hidden faces were chosen: the claims of these names."""

    chosen_by: str
    faces_found: int | None
    faces_visible: int | None
    detection_model: str
    embedding_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The check of the result; empty where none was asked for."""

    outcome: str = ""
    model: str = ""


def receipt_of(  # noqa: PLR0913  (each is a part of the claims)
    *,
    original: bytes,
    result: bytes,
    boxes: Sequence[geometry_pb2.BoundingBox],
    redaction: anonymizer_pb2.Redaction,
    choice: SelectionClaims,
    check: Check,
) -> Receipt:
    """The receipt of a picture that was just made.

    Raises:
        InvalidRequest: More was hidden than a receipt holds.
    """
    if len(boxes) > MAX_REGIONS:
        raise InvalidRequest(f"a receipt holds {MAX_REGIONS} regions at most, and this picture has {len(boxes)}")
    return Receipt(
        iat=int(time.time()),
        input_sha256=hashlib.sha256(original).hexdigest(),
        output_sha256=hashlib.sha256(result).hexdigest(),
        regions=[_region(box) for box in boxes],
        style=anonymizer_pb2.Style.Name(redaction.style).removeprefix("STYLE_").lower(),
        shape=anonymizer_pb2.Shape.Name(redaction.shape).removeprefix("SHAPE_").lower(),
        strength=round(redaction.strength, 6),  # a 32-bit float on the wire
        margin=round(redaction.margin, 6),
        allow_weak=redaction.allow_weak,
        **asdict(choice),
        check=check.outcome,
        check_model=check.model,
        facet_version=facet_version(),
        request_id=current_request_id.get(),
    )


class ReceiptKey:
    """The key that signs."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._headers = {"kid": key_id(key.public_key())}

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key in a PEM file.

        Raises:
            InvalidRequest: There is no such file, or it holds no unencrypted Ed25519 private key.
        """
        key = _load(read_file(path), str(path))
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidRequest(f"{path} holds a public key; signing needs the private one")
        return cls(key)

    def sign(self, receipt: Receipt) -> str:
        """The compact JWS."""
        return jwt.encode(receipt.model_dump(), self._key, algorithm=ALGORITHM, headers=self._headers)

    def public_pem(self) -> bytes:
        """What checks the signature: PEM, SubjectPublicKeyInfo."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_receipt(signed: str, key: Ed25519PublicKey) -> Receipt:
    """The receipt behind a compact JWS, after checking that `key` signed it.

    Raises:
        InvalidRequest: It is none, another key signed it, or it was changed.
    """
    try:
        header = jwt.get_unverified_header(signed)
        if header.get("alg") == ALGORITHM and header.get("kid") != key_id(key):
            raise InvalidRequest(
                f"the receipt was signed with another key: {header.get('kid')!r}, and this is {key_id(key)!r}"
            )
        # When it was signed is for a person to judge: no clock of this machine decides over the signature.
        claims = jwt.decode(signed, key, algorithms=[ALGORITHM], options={"verify_iat": False})
        return Receipt.model_validate(claims)
    except jwt.InvalidAlgorithmError as error:
        raise InvalidRequest(f"the receipt is not signed with {ALGORITHM}") from error
    except jwt.InvalidSignatureError as error:
        raise InvalidRequest("the receipt was changed after it was signed") from error
    except (jwt.InvalidTokenError, ValidationError) as error:
        raise InvalidRequest("this is not a receipt; send the value of the header X-Facet-Receipt") from error


def read_public_key(pem: bytes, source: str) -> Ed25519PublicKey:
    """The key that checks, from a public or a private one.

    Raises:
        InvalidRequest: It holds no unencrypted Ed25519 key; the message names `source`.
    """
    key = _load(pem, source)
    return key.public_key() if isinstance(key, Ed25519PrivateKey) else key


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the sha256 of the public key (DER, SubjectPublicKeyInfo)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def read_file(path: Path) -> bytes:
    """The content of a small file.

    Raises:
        InvalidRequest: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from error


def _load(pem: bytes, source: str) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        key = load_pem_private_key(pem, None) if b"PRIVATE KEY" in pem else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it needs a password
        raise InvalidRequest(f"{source} does not hold an unencrypted PEM key") from error
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise InvalidRequest(f"{source} holds a key that is not Ed25519")
    return key


def _region(box: geometry_pb2.BoundingBox) -> Region:
    return math.floor(box.x_min), math.floor(box.y_min), math.ceil(box.x_max), math.ceil(box.y_max)
