"""JSON documents that are wrong somewhere: odd values, missing and unknown fields, duplicates, damaged bytes."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from tests.support.mutations import damage

FACES: Any = {
    "width": 80,
    "height": 64,
    "model": "blazeface-full@2c3728e6da56",
    "notice": "",
    "faces": [
        {
            "box": {"x_min": 20.0, "y_min": 8.0, "x_max": 44.0, "y_max": 32.0},
            "confidence": 0.9,
            "landmarks": {"left_eye": [26.5, 16.0], "right_eye": [37.5, 16.0], "nose_tip": [32.0, 22.0]},
        },
        {"box": {"x_min": -5.0, "y_min": 0.0, "x_max": 10.0, "y_max": 12.5}},
    ],
}
PERSON: Any = {"embedding_model": "mobilefacenet@90a00ba1d8b0", "embedding": [0.0625] * 128}
EMBEDDED: Any = {
    "width": 80,
    "height": 64,
    "model": "blazeface-full@2c3728e6da56",
    "embedding_model": "mobilefacenet@90a00ba1d8b0",
    "faces": [{**FACES["faces"][0], "embedding": [0.0625] * 128, "norm": 7.5, "alignment": "four_point"}],
}
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.0, -0.0, 1.5, 1e-320, 1e38, 3.5e38, 1e308, 2**31, 2**31 - 1, 2**63, 2**64, 10**40),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "0", "NaN", "\0", "\ud800", "a" * 5000, "left_eye"),
    *([], {}, [[]], [None], [1, 2, 3], {"x": 1}, {"": {}}, ["left_eye", [1, 2]], [0.1] * 127, [1e308] * 128, [0] * 128),
)
_DEPTH = 2000


def wrong_document(chance: Random, document: Any) -> bytes:  # noqa: ANN401  (JSON)
    """The document with up to three mistakes; once in a while none, or something else altogether."""
    changed = copy.deepcopy(document)
    for _ in range(chance.randint(0, 3)):
        changed = _mistake(changed, chance)
    content = bytearray(json.dumps(changed, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass"))
    match chance.randrange(12):
        case 0 | 1:
            damage(content, chance)
        case 2:
            content[-1:-1] = b',"faces":[],"embedding":null'
        case 3:
            content[:0] = chance.choice((b"\xef\xbb\xbf", b"\n\t ", b"\xff\xfe", b"{"))
        case 4:
            return chance.choice((b"[", b'{"a":')) * _DEPTH
        case 5:
            return json.dumps(document).encode("utf-16")
        case _:
            pass
    return bytes(content)


def _mistake(document: Any, chance: Random) -> Any:  # noqa: ANN401
    """A mistake at a random place; the document itself may be replaced."""
    parent: Any = None
    key: Any = None
    at = document
    while isinstance(at, dict | list) and at and chance.random() < 0.8:
        parent, key = at, chance.choice(list(at)) if isinstance(at, dict) else chance.randrange(len(at))
        at = at[key]
    if parent is None:
        return chance.choice(_ODD) if chance.random() < 0.2 else document
    match chance.randrange(4):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(("faces", "box", "x_min", "Width", "", "landmarks", "__proto__", str(key) * 2))] = at
        case 1:
            parent[key:key] = [copy.deepcopy(at)] * chance.choice((1, 3, 300))
        case _:
            parent[key] = copy.deepcopy(chance.choice(_ODD))
    return document
