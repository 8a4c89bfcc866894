"""TIFF's many kinds of samples come out as they look, or are refused with what to do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.chassis.errors import InvalidPicture
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.tiffs import FLOATING, MIN_IS_BLACK, MIN_IS_WHITE, RGB, SIGNED, Kind, tiff

LIMITS = PictureLimits(max_bytes=1_000_000, max_pixels=100_000)
GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)
DEEP_GREYS = GREYS.astype(np.uint16) * 257


def shown(content: bytes) -> NDArray[np.uint8]:
    """What is searched for faces, one channel of it."""
    return open_picture(content, LIMITS).rgb()[..., 0]


def answered(content: bytes) -> NDArray[np.uint8]:
    """What an answer shows in which nothing was hidden."""
    return shown(anonymize(content, [], Redaction(), limits=LIMITS).content)


@pytest.mark.parametrize(
    ("photometric", "big_endian", "deflated"),
    list(itertools.product((MIN_IS_WHITE, MIN_IS_BLACK), (False, True), (False, True))),
)
@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_grey_looks_alike_however_it_is_written(
    bits: int, photometric: int, *, big_endian: bool, deflated: bool
) -> None:
    kind = Kind(photometric=photometric, big_endian=big_endian, deflated=deflated, bits=bits)
    data: bytes | None = None
    wanted: NDArray[np.generic] = GREYS
    samples: NDArray[np.generic] = DEEP_GREYS if bits == 16 else GREYS
    if bits == 1:
        data, wanted = np.packbits(GREYS > 127, axis=1).tobytes(), np.where(GREYS > 127, 255, 0).astype(np.uint8)
    if bits == 4:
        data, wanted = ((GREYS[:, ::2] & 0xF0) | (GREYS[:, 1::2] >> 4)).tobytes(), (GREYS >> 4) * 17
    if photometric == MIN_IS_WHITE:
        data = None if data is None else bytes(255 - byte for byte in data)
        samples = np.invert(samples)
    content = tiff(samples, kind, data=data)
    assert np.array_equal(shown(content), wanted)
    assert np.array_equal(answered(content), wanted)


@pytest.mark.parametrize("deflated", [False, True])
def test_white_of_twelve_bits_is_white(*, deflated: bool) -> None:
    values = GREYS.astype(np.uint16) * 16 + GREYS // 16
    first, second = values[:, ::2], values[:, 1::2]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)
    content = tiff(GREYS, Kind(bits=12, deflated=deflated), data=packed.tobytes())
    assert np.array_equal(shown(content), GREYS)
    assert np.array_equal(answered(content), GREYS)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    ("samples", "sample_format"),
    [(GREYS, SIGNED), (DEEP_GREYS, SIGNED), (GREYS.astype(np.float32) / 255, FLOATING)],
)
def test_signed_and_floating_samples_are_refused_with_what_to_do(
    samples: NDArray[np.generic], sample_format: int, *, big_endian: bool
) -> None:
    content = tiff(samples, Kind(sample_format=sample_format, big_endian=big_endian))
    with pytest.raises(InvalidPicture, match=r"save it (anew )?as 8-bit RGB"):
        open_picture(content, LIMITS)


@pytest.mark.parametrize("big_endian", [False, True])
def test_deep_colours_look_as_they_are_written(*, big_endian: bool) -> None:
    content = tiff(np.stack([DEEP_GREYS] * 3, axis=-1), Kind(photometric=RGB, big_endian=big_endian))
    assert np.array_equal(shown(content), GREYS)
    assert np.array_equal(answered(content), GREYS)
