"""One picture through decoding, hiding and encoding: hostile files end in a domain error or a picture, nothing else."""

from __future__ import annotations

import random
import time

import pytest

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.errors import FacetError
from services.chassis.pictures.geometry import Box
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import FORMATS, LOSSLESS, decode, encode, multi_picture_jpeg, noise, smooth, with_metadata

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=1_000_000)
MUTATIONS_A_SEED = 25
FACE = Region(box=Box(x_min=10, y_min=10, x_max=30, y_max=30), landmarks={})


def seeds() -> list[bytes]:
    """Small files of every format, with and without metadata, in several modes."""
    return [
        *(with_metadata(noise(48, 40), file_format, b"MARKER") for file_format in FORMATS),
        encode(smooth(48, 40), "JPEG", progressive=True),
        encode(noise(48, 40, "CMYK"), "JPEG"),
        encode(noise(48, 40, "P"), "PNG", transparency=3),
        encode(noise(48, 40, "I;16"), "PNG"),
        encode(noise(48, 40, "RGBA"), "WEBP", **LOSSLESS["WEBP"]),
        encode(noise(48, 40, "P"), "BMP"),
        encode(noise(48, 40, "I;16"), "TIFF"),
        encode(noise(48, 40), "TIFF", compression="tiff_lzw", icc_profile=b"profile"),
        multi_picture_jpeg(smooth(48, 40), smooth(48, 40)),
    ]


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Changes, removes, repeats or inserts a few bytes, most of them near the start where the headers are."""
    mutated = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        reach = len(mutated) if chance.random() < 0.4 else min(len(mutated), 200)
        at = chance.randrange(reach)
        match chance.randrange(5):
            case 0:
                mutated[at] = chance.randrange(256)
            case 1:
                mutated[at] ^= 1 << chance.randrange(8)
            case 2:
                del mutated[at : at + chance.randint(1, 40)]
            case 3:
                mutated[at:at] = mutated[at : at + chance.randint(1, 40)]
            case _:
                mutated[at : at + 4] = chance.choice(
                    [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\1\0\0\0"]
                )
        if not mutated:
            break
    return bytes(mutated)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_mutated_files_end_in_a_domain_error_or_a_picture_and_soon() -> None:
    chance = random.Random(20)  # noqa: S311  (the same files every time)
    pictures = errors = 0
    for seed in seeds():
        for _ in range(MUTATIONS_A_SEED):
            content = mutate(seed, chance)
            started = time.perf_counter()
            try:
                done = anonymize(content, [FACE], Redaction(outline=True), limits=LIMITS)
            except FacetError:
                errors += 1
            else:
                assert decode(done.content).size == (done.width_px, done.height_px)
                assert b"MARKER" not in done.content
                pictures += 1
            assert time.perf_counter() - started < 2
    assert pictures > 50
    assert errors > 50
