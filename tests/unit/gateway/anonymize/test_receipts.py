"""Receipts: what one key signed is read with that key alone, and not after a change."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from facet.v1 import anonymizer_pb2, geometry_pb2
from gateway.anonymize.receipts import (
    MAX_REGIONS,
    Check,
    Receipt,
    ReceiptKey,
    SelectionClaims,
    key_id,
    read_public_key,
    read_receipt,
    receipt_of,
)
from services.chassis.errors import InvalidRequest

KEY = Ed25519PrivateKey.generate()
FACE = geometry_pb2.BoundingBox(x_min=-0.5, y_min=2.5, x_max=10.1, y_max=20)


def receipt(*boxes: geometry_pb2.BoundingBox) -> Receipt:
    redaction = anonymizer_pb2.Redaction(
        style=anonymizer_pb2.STYLE_BLUR, shape=anonymizer_pb2.SHAPE_BOX, strength=0.1, margin=0.3
    )
    return receipt_of(
        original=b"before",
        result=b"after",
        boxes=boxes,
        redaction=redaction,
        choice=SelectionClaims(
            chosen_by="search", faces_found=3, faces_visible=1, detection_model="finder@1", embedding_model=""
        ),
        check=Check(outcome="passed", model="finder@2"),
    )


def pem(
    key: Ed25519PrivateKey,
    encryption: KeySerializationEncryption = NoEncryption(),  # noqa: B008  (it has no state)
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def part(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def test_what_was_signed_is_read_again() -> None:
    made = receipt(FACE)
    assert read_receipt(ReceiptKey(KEY).sign(made), KEY.public_key()) == made
    assert made.input_sha256 == hashlib.sha256(b"before").hexdigest()
    assert made.output_sha256 == hashlib.sha256(b"after").hexdigest()
    assert made.regions == [(-1, 2, 11, 20)]
    assert (made.chosen_by, made.faces_found, made.faces_visible) == ("search", 3, 1)
    assert (made.detection_model, made.check, made.check_model) == ("finder@1", "passed", "finder@2")
    assert (made.style, made.shape, made.strength, made.margin) == ("blur", "box", 0.1, 0.3)


def test_the_header_names_the_algorithm_and_the_key() -> None:
    header = jwt.get_unverified_header(ReceiptKey(KEY).sign(receipt()))
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert header == {"alg": "EdDSA", "kid": hashlib.sha256(der).hexdigest()[:16], "typ": "JWT"}


def test_a_changed_claim_is_noticed() -> None:
    header, claims, signature = ReceiptKey(KEY).sign(receipt(FACE)).split(".")
    forged = {**json.loads(base64.urlsafe_b64decode(claims + "==")), "regions": []}
    with pytest.raises(InvalidRequest, match="was changed"):
        read_receipt(f"{header}.{part(forged)}.{signature}", KEY.public_key())


def test_another_key_is_named() -> None:
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(InvalidRequest, match=rf"another key.*{key_id(KEY.public_key())}.*{key_id(other)}"):
        read_receipt(ReceiptKey(KEY).sign(receipt()), other)


def test_a_key_that_calls_itself_another_signs_nothing() -> None:
    claims = receipt().model_dump()
    kid = key_id(KEY.public_key())
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": kid})
    with pytest.raises(InvalidRequest, match="was changed"):
        read_receipt(forged, KEY.public_key())


def test_no_other_algorithm_is_accepted() -> None:
    claims, kid = receipt().model_dump(), key_id(KEY.public_key())
    unsigned = f"{part({'alg': 'none', 'kid': kid})}.{part(claims)}."
    secret = jwt.encode(claims, "s" * 64, algorithm="HS256", headers={"kid": kid})
    elliptic = jwt.encode(claims, generate_private_key(SECP256R1()), algorithm="ES256", headers={"kid": kid})
    for forged in (unsigned, secret, elliptic):
        with pytest.raises(InvalidRequest, match="not signed with EdDSA"):
            read_receipt(forged, KEY.public_key())


@pytest.mark.parametrize("text", ["", "hello", "a.b.c", "..", "{}", "é.é.é"])
def test_what_is_no_receipt_is_called_so(text: str) -> None:
    with pytest.raises(InvalidRequest, match="this is not a receipt"):
        read_receipt(text, KEY.public_key())


def test_claims_of_something_else_are_no_receipt() -> None:
    other = jwt.encode({"sub": "x"}, KEY, algorithm="EdDSA", headers={"kid": key_id(KEY.public_key())})
    with pytest.raises(InvalidRequest, match="this is not a receipt"):
        read_receipt(other, KEY.public_key())


def test_a_receipt_fits_into_a_header_or_is_refused() -> None:
    far = geometry_pb2.BoundingBox(x_min=99990, y_min=99990, x_max=99999, y_max=99999)
    assert len(ReceiptKey(KEY).sign(receipt(*[far] * MAX_REGIONS))) < 64 * 1024
    with pytest.raises(InvalidRequest, match="at most"):
        receipt(*[far] * (MAX_REGIONS + 1))


def test_a_key_is_loaded_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(KEY))
    loaded = ReceiptKey.load(path)
    assert loaded.public_pem() == public_pem(KEY)
    for source in (loaded.public_pem(), pem(KEY)):
        assert key_id(read_public_key(source, "it")) == key_id(KEY.public_key())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not hold an unencrypted PEM key"),
        (b"-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n", "does not hold an unencrypted PEM key"),
        (pem(KEY, BestAvailableEncryption(b"secret")), "does not hold an unencrypted PEM key"),
        (public_pem(KEY), "holds a public key"),
        (
            generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "that is not Ed25519",
        ),
    ],
)
def test_a_file_without_the_key_is_told_in_plain_words(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match=told):
        ReceiptKey.load(path)


def test_an_absent_file_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"key\.pem cannot be read: No such file"):
        ReceiptKey.load(tmp_path / "key.pem")
