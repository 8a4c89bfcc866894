"""Colour profiles made of primaries and a tone curve, with the tags that ICC asks for and no others."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Chromaticity = tuple[float, float]  # CIE 1931 x, y
Matrix = NDArray[np.float64]  # 3 x 3
Curve = float | Sequence[float]
"""An exponent, or the light (0 to 1) of evenly spaced samples from 0 to the highest."""

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_HEADER_BYTES, _TAG_BYTES = 128, 12
_NAME = b"RGB"
_LEAST_DETERMINANT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Primaries:
    """The colours of red, green, blue and white light."""

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity

    @property
    def matrix(self) -> Matrix | None:
        """Linear RGB to CIE XYZ under D50 (Bradford adaptation); None where the primaries span no colours."""
        if min(y for _, y in (self.red, self.green, self.blue, self.white)) <= 0:
            return None
        lights = np.array([_xyz(self.red), _xyz(self.green), _xyz(self.blue)]).T
        if abs(np.linalg.det(lights)) < _LEAST_DETERMINANT:
            return None
        white = _xyz(self.white)
        cones, wanted = _BRADFORD @ white, _BRADFORD @ _D50
        if cones.min() <= 0:
            return None
        adapted = np.linalg.inv(_BRADFORD) @ np.diag(wanted / cones) @ _BRADFORD
        matrix = adapted @ lights @ np.diag(np.linalg.solve(lights, white))
        return np.asarray(matrix) if np.abs(matrix).max() < 2 else None  # noqa: PLR2004  (what a profile can say)


def _xyz(chromaticity: Chromaticity) -> NDArray[np.float64]:
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


def rgb_profile(primaries: Primaries, curve: Curve) -> bytes | None:
    """A display profile of three primaries; None where they span no colours.

    Source: ICC.1:2001-04 (version 2, which every viewer reads), 6.3.1.2.
    """
    matrix = primaries.matrix
    if matrix is None:
        return None
    tags = {b"wtpt": _xyz_tag(_D50)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True):
        tags[name] = _xyz_tag(column)
    tone = _curve_tag(curve)
    return _profile(b"RGB ", tags | {b"rTRC": tone, b"gTRC": tone, b"bTRC": tone})


def grey_profile(curve: Curve) -> bytes:
    """A display profile of one channel. Source: ICC.1:2001-04, 6.3.1.1."""
    return _profile(b"GRAY", {b"wtpt": _xyz_tag(_D50), b"kTRC": _curve_tag(curve)})


def _xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve_tag(curve: Curve) -> bytes:
    if isinstance(curve, float | int):
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, min(0xFFFF, max(1, round(curve * 256))))
    light = [round(min(1.0, max(0.0, float(value))) * 0xFFFF) for value in curve]
    return b"curv\0\0\0\0" + struct.pack(f">I{len(light)}H", len(light), *light)


def _profile(colour_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    description = b"desc\0\0\0\0" + struct.pack(">I", len(_NAME) + 1) + _NAME + b"\0" + bytes(8 + 3 + 67)
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0CC0\0", **tags}
    places: dict[bytes, int] = {}  # equal contents stand once
    body = b""
    directory = struct.pack(">I", len(tags))
    start = _HEADER_BYTES + len(directory) + _TAG_BYTES * len(tags)
    for name, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        directory += struct.pack(">4sII", name, places[data], len(data))
    size = start + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", colour_space, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", *(round(float(value) * 65536) for value in _D50))
    return header.ljust(_HEADER_BYTES, b"\0") + directory + body
