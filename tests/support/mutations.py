"""Damaged picture files by number, and the process that anonymizes them.

`python -m tests.support.mutations FIRST COUNT` prints each file's number before it begins with it, and a line of JSON
at its end. It ends at once where a file takes longer than DEADLINE_S.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import struct
import sys
import warnings
import zlib
from collections.abc import Mapping
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image
from skimage import data

from services.anonymizer.anonymization import anonymize
from services.anonymizer.encoding import Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.errors import FacetError
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import (
    LOSSLESS,
    PNG_SIGNATURE,
    encode,
    multi_picture_jpeg,
    png,
    png_chunk,
    png_chunks,
    with_metadata,
)
from tests.support.profiles import LCMS_SRGB
from tests.support.rare_jpegs import lossless_jpeg
from tests.support.usage import memory_mib

DEADLINE_S = 5.0
LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=250_000)
FACE = Region(box=Box(x_min=20, y_min=8, x_max=44, y_max=32), landmarks={})
_SIZE_PX = (80, 64)
_NUMBERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\1\0\0\0", b"\0\0\0\1", b"\0\1", b"\xff\xff")


@cache
def files() -> Mapping[str, bytes]:
    """A sound file of every kind, all with the same face."""
    pillow_heif.register_heif_opener()
    colour = Image.fromarray(data.astronaut()).crop((144, 40, 304, 168)).resize(_SIZE_PX)
    grey, palette, cmyk = colour.convert("L"), colour.quantize(64), colour.convert("CMYK")
    transparent = colour.convert("RGBA")
    transparent.putalpha(grey)
    deep = np.asarray(colour).astype(np.uint16) * 257
    return {
        "JPEG": with_metadata(colour, "JPEG", b"MARKER"),
        "JPEG 4:4:4": encode(colour, "JPEG", quality=90, subsampling=0),
        "JPEG progressive": encode(colour, "JPEG", progressive=True),
        "JPEG CMYK": encode(cmyk, "JPEG"),
        "JPEG grey": encode(grey, "JPEG", restart_marker_blocks=3),
        "JPEG lossless": lossless_jpeg(colour),
        "JPEG with a profile": encode(colour, "JPEG", icc_profile=LCMS_SRGB),
        "MPO": multi_picture_jpeg(colour, colour),
        "PNG": with_metadata(colour, "PNG", b"MARKER"),
        "PNG palette": encode(palette, "PNG", transparency=3),
        "PNG bilevel": encode(colour.convert("1"), "PNG"),
        "PNG grey with alpha": encode(transparent.convert("LA"), "PNG"),
        "PNG with alpha": encode(transparent, "PNG"),
        "PNG 16 bit": png(deep, colour_type=2, bits=16, ancillary=png_chunk(b"tRNS", bytes(6))),
        "PNG grey 16 bit": encode(Image.fromarray(deep[..., 0].copy()), "PNG"),
        "WebP": with_metadata(colour, "WEBP", b"MARKER"),
        "WebP with alpha": encode(transparent, "WEBP", **LOSSLESS["WEBP"]),
        "BMP": encode(colour, "BMP"),
        "BMP palette": encode(palette, "BMP"),
        "TIFF": with_metadata(colour, "TIFF", b"MARKER"),
        "TIFF LZW": encode(colour, "TIFF", compression="tiff_lzw", icc_profile=b"profile"),
        "TIFF JPEG": encode(colour, "TIFF", compression="jpeg"),
        "TIFF palette": encode(palette, "TIFF"),
        "TIFF grey 16 bit": encode(Image.fromarray(deep[..., 0].copy()), "TIFF", compression="tiff_adobe_deflate"),
        "HEIC": encode(colour, "HEIF", quality=60),
        "HEIC of tiles": encode(colour, "HEIF", quality=60, tile_size=64),
        "HEIC with alpha": encode(transparent, "HEIF", quality=60),
    }


def mutated(number: int) -> tuple[str, bytes]:
    """The kind and content of a damaged file, the same for a number every time."""
    chance = random.Random(number)  # noqa: S311  (the same files every time)
    kinds = list(files())
    kind = kinds[number % len(kinds)]
    packed = kind.startswith("PNG") and chance.random() < 0.7
    content = bytearray(_unpacked(files()[kind]) if packed else files()[kind])
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        damage(content, chance)
    return kind, _packed(bytes(content)) if packed else bytes(content)


def damage(content: bytearray, chance: random.Random) -> None:
    """Changes, removes, repeats, inserts or cuts, mostly near the start where the headers are."""
    if not content:
        return
    reach = len(content) if chance.random() < 0.5 else min(len(content), 300)
    at, length = chance.randrange(reach), chance.randint(1, 40)
    match chance.randrange(7):
        case 0:
            content[at] = chance.randrange(256)
        case 1:
            content[at] ^= 1 << chance.randrange(8)
        case 2:
            del content[at : at + length]
        case 3:
            content[at:at] = content[at : at + length]
        case 4:
            content[at:at] = chance.randbytes(length)
        case 5:
            value = chance.choice(_NUMBERS)
            content[at : at + len(value)] = value
        case _:
            if chance.random() < 0.3:
                del content[at:]
            else:
                other = chance.randrange(len(content))
                content[at : at + length] = content[other : other + length]


def _unpacked(content: bytes) -> bytes:
    """A PNG whose pixels stand in it as they are: damage gets past the checksums then, as an attacker's would."""
    parts = ((kind, zlib.decompress(part) if kind == b"IDAT" else part) for kind, part in png_chunks(content))
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) if kind else part for kind, part in parts)


def _packed(content: bytes) -> bytes:
    """The reverse, with checksums that are right; as it is where it has no chunks any more."""
    try:
        parts = [(kind, zlib.compress(part) if kind == b"IDAT" else part) for kind, part in png_chunks(content)]
    except struct.error:
        return content
    return PNG_SIGNATURE + b"".join(png_chunk(kind, part) if kind else part for kind, part in parts)


def anonymized(content: bytes) -> bool:
    """Whether a picture came of it, which then is sound; otherwise a FacetError did."""
    try:
        done = anonymize(content, [FACE], Redaction(outline=True), limits=LIMITS, output=Output(keep_capture_time=True))
    except FacetError:
        return False
    answer = open_picture(done.content, PictureLimits(max_bytes=2 * LIMITS.max_bytes, max_pixels=LIMITS.max_pixels))
    assert (answer.width_px, answer.height_px) == (done.width_px, done.height_px)
    return True


def main(first: int, count: int) -> None:
    """Anonymizes the files of these numbers."""
    warnings.simplefilter("ignore")
    logging.disable()
    pictures, before_mib = 0, 0.0
    for number in range(first, first + count):
        if number == first + count // 2:
            before_mib = memory_mib(os.getpid())
        kind, content = mutated(number)
        sys.stdout.write(f"{number} {kind}\n")
        sys.stdout.flush()
        faulthandler.dump_traceback_later(DEADLINE_S, exit=True)
        pictures += anonymized(content)
        faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(json.dumps({"pictures": pictures, "grown_mib": memory_mib(os.getpid()) - before_mib}) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
