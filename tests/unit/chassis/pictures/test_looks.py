"""A picture is looked at in every way in which viewers show it, and in no more than these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.chassis.pictures.geometry import Point
from services.chassis.pictures.looks import TurnedLook
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import LOSSLESS, encode, noise, png, smooth

LIMITS = PictureLimits(max_bytes=4_000_000, max_pixels=1_000_000)
SIZE = (80, 40)


def rgba(colour: NDArray[np.int64] | int, alpha: NDArray[np.int64] | int) -> Image.Image:
    """Of values that numpy spreads over the picture."""
    samples = np.empty((SIZE[1], SIZE[0], 4), np.uint8)
    samples[..., :3], samples[..., 3] = colour, alpha
    return Image.fromarray(samples)


def looks(content: bytes) -> list[NDArray[np.uint8]]:
    return [look.rgb() for look in open_picture(content, LIMITS).looks()]


def on(image: Image.Image, backdrop: str) -> NDArray[np.int64]:
    """As Pillow composes it."""
    behind = Image.new("RGBA", image.size, backdrop)
    return np.asarray(Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB"), np.int64)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_transparent_picture_is_seen_on_white_on_black_and_without_its_alpha(file_format: str) -> None:
    image = noise(*SIZE, "RGBA")
    white, black, bare = looks(encode(image, file_format, **LOSSLESS.get(file_format, {})))
    assert np.abs(white - on(image, "white")).max() <= 1
    assert np.abs(black - on(image, "black")).max() <= 1
    assert np.array_equal(bare, np.asarray(image)[..., :3])


def test_grey_with_alpha_is_seen_on_both() -> None:
    image = noise(*SIZE, "LA")
    white, black, bare = looks(encode(image, "PNG"))
    assert np.abs(white - on(image, "white")).max() <= 1
    assert np.abs(black - on(image, "black")).max() <= 1
    assert np.array_equal(bare[..., 0], np.asarray(image)[..., 0])


@pytest.mark.parametrize("colour_type", [4, 6])
def test_sixteen_bits_with_alpha_are_seen_on_both(colour_type: int) -> None:
    samples = np.zeros((SIZE[1], SIZE[0], {4: 2, 6: 4}[colour_type]), np.uint16)
    samples[..., -1] = np.linspace(0, 0xFFFF, SIZE[0]).astype(np.uint16)
    white, black = looks(png(samples, colour_type=colour_type, bits=16))
    assert white[0, 0, 0] == 255
    assert white[0, -1, 0] == 0
    assert not black.any()


def test_transparent_colour_of_a_palette_is_seen_on_both() -> None:
    image = smooth(*SIZE).quantize(16)
    assert len(looks(encode(image, "PNG", transparency=3))) > 1


def test_transparent_colour_without_a_palette_is_seen_on_both() -> None:
    white, black = looks(encode(Image.new("RGB", SIZE, "white"), "PNG", transparency=(255, 255, 255)))
    assert white.min() == 255
    assert black.max() == 0


OPAQUE: dict[str, Callable[[], Image.Image]] = {
    "none": lambda: smooth(*SIZE),
    "wholly opaque": lambda: rgba(100, 255),
    "all but opaque": lambda: rgba(100, 252),
    "a few pixels": lambda: rgba(100, np.where(np.arange(SIZE[0] * SIZE[1]) < 60, 0, 255).reshape(SIZE[::-1])),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_opaque_picture_is_seen_once(kind: str) -> None:
    assert len(looks(encode(OPAQUE[kind](), "PNG"))) == 1


def test_cut_out_on_transparent_black_is_seen_no_more_than_twice() -> None:
    mask = np.zeros(SIZE[::-1], np.bool_)
    mask[10:30, 20:60] = True
    assert len(looks(encode(rgba(np.where(mask, 180, 0)[..., None], np.where(mask, 255, 0)), "PNG"))) == 2


@pytest.mark.parametrize("shade", range(0, 256, 15))
def test_what_lies_in_alpha_alone_has_contrast_in_one_of_the_looks(shade: int) -> None:
    alpha = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))
    contrasts = [
        int(look.max()) - int(look.min()) for look in looks(encode(rgba(shade, alpha.astype(np.int64)), "PNG"))
    ]
    assert max(contrasts) >= 127


@pytest.mark.parametrize("shade", [0, 60, 128, 200, 255])
def test_what_stands_on_any_grey_is_a_mixture_of_white_and_black(shade: int) -> None:
    image = noise(*SIZE, "RGBA", seed=1)
    white, black, _ = looks(encode(image, "PNG"))
    share = shade / 255
    mixed = share * white + (1 - share) * black
    assert np.abs(mixed - on(image, f"#{shade:02x}{shade:02x}{shade:02x}")).max() <= 2


@pytest.mark.parametrize("orientation", range(2, 9))
def test_points_of_a_turned_look_lie_where_the_picture_has_them(orientation: int) -> None:
    picture = open_picture(encode(noise(*SIZE), "PNG"), LIMITS)
    look = TurnedLook(shown=picture, orientation=orientation)
    turned, shown = look.rgb(), picture.rgb()
    assert turned.shape == (look.height_px, look.width_px, 3)
    for x, y in ((0, 0), (5, 3), (look.width_px - 1, look.height_px - 1)):
        back = look.back(Point(x + 0.5, y + 0.5))
        assert np.array_equal(shown[int(back.y), int(back.x)], turned[y, x])
