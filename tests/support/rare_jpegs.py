"""JPEG files of kinds that Pillow does not write, and files that are put together oddly."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

START, END = b"\xff\xd8", b"\xff\xd9"
SEQUENTIAL = 0xC0
LOSSLESS = 0xC3

_CATEGORIES = 10  # how many bits a difference takes: 0 to 9, each with a code of four bits
_CODE_BITS = 4


def segment(marker: int, payload: bytes, *, size: int | None = None) -> bytes:
    """A segment with its length, or another one."""
    return bytes((0xFF, marker)) + (len(payload) + 2 if size is None else size).to_bytes(2) + payload


def lossless_jpeg(image: Image.Image) -> bytes:
    """Grey or RGB as a lossless JPEG: each sample as the difference from the one before (ITU-T T.81, annex H)."""
    samples = np.asarray(image).reshape(image.height, image.width, -1).astype(int)
    components = samples.shape[2]
    before = np.roll(samples, 1, axis=1)
    before[1:, 0], before[0, 0] = samples[:-1, 0], 128
    bits = "".join(map(_code, (samples - before).ravel().tolist()))
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    frame = struct.pack(">BHHB", 8, image.height, image.width, components)
    frame += b"".join(bytes((number, 0x11, 0)) for number in range(1, components + 1))
    huffman = bytes((0, 0, 0, 0, _CATEGORIES, *bytes(12), *range(_CATEGORIES)))
    which = bytes((components, *(value for number in range(1, components + 1) for value in (number, 0)), 1, 0, 0))
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")  # the samples are RGB as they stand
    return b"".join((START, adobe, segment(LOSSLESS, frame), segment(0xC4, huffman), segment(0xDA, which), scan, END))


def _code(difference: int) -> str:
    category = abs(difference).bit_length()
    value = difference if difference > 0 else difference + (1 << category) - 1
    return f"{category:0{_CODE_BITS}b}" + (f"{value:0{category}b}" if category else "")


def as_kind(content: bytes, kind: int) -> bytes:
    """The sequential JPEG with another kind written into its frame's marker."""
    at = content.index(bytes((0xFF, SEQUENTIAL)))
    return content[: at + 1] + bytes((kind,)) + content[at + 2 :]


def with_frame_byte(content: bytes, place: int, value: int) -> bytes:
    """The sequential JPEG with a byte of its frame's segment changed, counted behind its length."""
    at = content.index(bytes((0xFF, SEQUENTIAL))) + 4 + place
    return content[:at] + bytes((value,)) + content[at + 1 :]
