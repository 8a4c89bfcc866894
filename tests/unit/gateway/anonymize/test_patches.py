"""A patch of one colour is told from whatever could be a face."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facet.v1 import geometry_pb2
from gateway.anonymize.patches import SIDE_PX, is_one_colour
from tests.support.pictures import decode, encode


def crop(pixels: NDArray[np.uint8]) -> geometry_pb2.AlignedFace:
    return geometry_pb2.AlignedFace(pixels=pixels.tobytes())


def plain(colour: int = 0) -> NDArray[np.uint8]:
    return np.full((SIDE_PX, SIDE_PX, 3), colour, np.uint8)


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_one_colour_is_one_after_the_worst_jpeg(colour: int) -> None:
    stored = decode(encode(Image.fromarray(plain(colour)), "JPEG", quality=10))
    assert is_one_colour(crop(np.asarray(stored)))


def test_what_lies_in_the_corners_is_outside_of_a_face() -> None:
    pixels = plain()
    pixels[:16, :16] = pixels[-16:, -16:] = 255
    assert is_one_colour(crop(pixels))


@pytest.mark.parametrize("strip_px", [24, 56])
def test_a_face_that_looks_out_of_a_patch_is_none(strip_px: int) -> None:
    pixels = plain()
    pixels[:strip_px] = 255
    assert not is_one_colour(crop(pixels))


def test_a_face_is_not_one_colour(astronaut: Image.Image) -> None:
    face = astronaut.crop((178, 64, 270, 170)).resize((SIDE_PX, SIDE_PX))
    assert not is_one_colour(crop(np.asarray(face)))
    dark = (np.asarray(face) // 6).astype(np.uint8)
    assert not is_one_colour(crop(dark))


def test_a_face_without_a_crop_is_taken_for_a_face() -> None:
    assert not is_one_colour(geometry_pb2.AlignedFace())
