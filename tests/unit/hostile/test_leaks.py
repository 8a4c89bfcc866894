"""The search for leaks finds each that is planted, in whatever form, and nothing where there is none."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tests.hostile.leaks import Secrets

PICTURE = np.random.default_rng(1).bytes(5000)
VECTOR = np.random.default_rng(2).normal(0, 0.09, 128).astype(np.float32)
SECRETS = Secrets(contents=[PICTURE], vectors=[VECTOR], texts=["holiday-of-mrs-example", "facet_1_SECRET"])
PART = PICTURE[1001:1041]

PLANTED = {
    "as it is": PART,
    "16 bytes of it": PICTURE[777:793],
    "repr": repr(PART).encode(),
    "JSON": json.dumps({"x": PART.decode("latin-1")}).encode(),
    "base64": base64.b64encode(PART),
    "base64 for addresses": b"x" + base64.urlsafe_b64encode(PICTURE[:300]),
    "hexadecimal": PART.hex().encode(),
    "numbers": str(list(PART)).encode(),
    "values as bytes": VECTOR[5:9].tobytes(),
    "values in 64 bits": VECTOR[5:9].astype(np.float64).tobytes(),
    "values in JSON": json.dumps(VECTOR.tolist()).encode(),
    "values as numpy shows them": str(VECTOR).encode(),
    "name": b'{"file": "Holiday-of-Mrs-Example.jpg"}',
    "name in base64": base64.b64encode(b"a holiday-of-mrs-example.jpg"),
    "key": b"Authorization: Bearer facet_1_SECRET",
}
HARMLESS = json.dumps(
    {"duration_s": 0.1234, "request_bytes": 48_213, "sha256": "9f" * 32, "request_id": "4f1c2e", "seconds": [0.25] * 50}
).encode()


@pytest.mark.parametrize("form", PLANTED)
def test_planted_leak_is_found(form: str) -> None:
    assert SECRETS.found_in(HARMLESS * 3 + PLANTED[form] + HARMLESS)


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert SECRETS.found_in(HARMLESS + np.random.default_rng(3).bytes(20_000)) == []
