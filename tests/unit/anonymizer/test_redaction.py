"""Hiding regions in a decoded picture: all of what was asked for, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels, redact
from services.anonymizer.regions import Region, Shape
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box, LandmarkType, Point
from services.chassis.pictures.pixels import Pixels
from tests.support.pictures import noise

MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
STYLES: list[Style] = [
    Mosaic(strength=0.5),
    Blur(strength=0.5),
    Solid(),
    AveragingMosaic(strength=0.5),
    GaussianBlur(strength=0.5),
]
OPAQUE_BLACK = {
    "L": 0,
    "LA": (0, 255),
    "RGB": (0, 0, 0),
    "RGBA": (0, 0, 0, 255),
    "CMYK": (0, 0, 0, 255),
    "I;16": 0,
}
TILTED = {LandmarkType.LEFT_EYE: Point(85, 70), LandmarkType.RIGHT_EYE: Point(115, 85)}
FACE = Region(box=Box(x_min=70, y_min=50, x_max=130, y_max=130), landmarks=TILTED)
WIDTH, HEIGHT = 200, 180


def hide(image: Image.Image, regions: list[Region], redaction: Redaction) -> int:
    """Hides regions of `image` and returns how many touched it."""
    cutouts = cut_outs(regions, redaction, width_px=image.width, height_px=image.height)
    samples = np.array(image).reshape(image.height, image.width, -1)
    redact(Pixels(samples=samples, channels="L" if image.mode == "I;16" else image.mode), cutouts, redaction)
    image.paste(Image.frombytes(image.mode, image.size, samples.tobytes()))
    return len(cutouts)


def mask(*regions: Region, redaction: Redaction) -> NDArray[np.bool_]:
    """What should be hidden, of the whole picture."""
    cutouts = cut_outs(regions, redaction, width_px=WIDTH, height_px=HEIGHT)
    return hidden_pixels(cutouts, width_px=WIDTH, height_px=HEIGHT)


def hidden_and_original(mode: str, redaction: Redaction) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels after and before, H x W x C."""
    image = noise(WIDTH, HEIGHT, mode)
    original = image.copy()
    assert hide(image, [FACE], redaction) == 1
    assert image.mode == mode
    after, before = (np.asarray(i).astype(np.int64).reshape(HEIGHT, WIDTH, -1) for i in (image, original))
    return after, before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("style", STYLES, ids=repr)
@pytest.mark.parametrize("shape", Shape)
def test_all_of_the_region_is_replaced_and_nothing_beside_it(mode: str, style: Style, shape: Shape) -> None:
    redaction = Redaction(style=style, shape=shape)
    after, before = hidden_and_original(mode, redaction)
    hidden = mask(FACE, redaction=redaction)
    assert np.array_equal(after[~hidden], before[~hidden])
    differs = (after != before).any(axis=-1)
    assert differs[hidden].mean() > 0.97  # of noise, a few pixels are their average by chance


@pytest.mark.parametrize("mode", MODES)
def test_solid_is_opaque_black_in_every_mode(mode: str) -> None:
    redaction = Redaction(style=Solid())
    after, _ = hidden_and_original(mode, redaction)
    assert (after[mask(FACE, redaction=redaction)] == OPAQUE_BLACK[mode]).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("style", [Mosaic(strength=0.5), Blur(strength=0.5), Solid()], ids=repr)
def test_safe_styles_do_not_depend_on_what_they_hide(mode: str, style: Style) -> None:
    redaction = Redaction(style=style)
    beside = Region(box=Box(x_min=110, y_min=60, x_max=170, y_max=120), landmarks={})
    hidden = mask(FACE, beside, redaction=redaction)
    one, other = noise(WIDTH, HEIGHT, mode), noise(WIDTH, HEIGHT, mode, seed=1)
    other.paste(one, mask=Image.fromarray(~hidden))
    assert one.tobytes() != other.tobytes()
    for image in (one, other):
        hide(image, [FACE, beside], redaction)
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_averaging_mosaic_keeps_no_more_than_its_cells(mode: str) -> None:
    redaction = Redaction(style=AveragingMosaic(strength=0.5), shape=Shape.BOX, margin=0)
    after, _ = hidden_and_original(mode, redaction)
    colours = np.unique(after[50:130, 70:130].reshape(60 * 80, -1), axis=0)
    assert len(colours) <= 6 * 6


def test_alpha_outside_the_region_stays_and_inside_follows_the_style() -> None:
    image = Image.new("RGBA", (WIDTH, HEIGHT), (200, 100, 50, 77))
    hide(image, [FACE], Redaction(style=Solid()))
    hidden = mask(FACE, redaction=Redaction())
    alpha = np.asarray(image)[..., 3]
    assert (alpha[~hidden] == 77).all()
    assert (alpha[hidden] == 255).all()


def test_turned_ellipse_follows_the_eyes() -> None:
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    angle = math.radians(30)
    eyes = {
        LandmarkType.LEFT_EYE: Point(100 - 20 * math.cos(angle), 90 - 20 * math.sin(angle)),
        LandmarkType.RIGHT_EYE: Point(100 + 20 * math.cos(angle), 90 + 20 * math.sin(angle)),
    }
    tall = Region(box=Box(x_min=80, y_min=40, x_max=120, y_max=140), landmarks=eyes)
    hide(image, [tall], Redaction(style=Solid(), margin=0))
    y, x = np.nonzero(np.asarray(image) == 0)
    moments = np.cov(np.stack([x, y]))
    longest = np.linalg.eigh(moments)[1][:, -1]
    turned_by = math.degrees(math.atan2(abs(longest[0]), abs(longest[1])))
    assert turned_by == pytest.approx(30, abs=1)
    assert longest[0] * longest[1] < 0  # an eye line that falls to the right turns the chin to the left


def test_regions_outside_the_picture_are_not_counted() -> None:
    image = noise(WIDTH, HEIGHT)
    before = image.tobytes()
    outside = Region(box=Box(x_min=500, y_min=10, x_max=540, y_max=50), landmarks={})
    assert hide(image, [outside], Redaction(outline=True)) == 0
    assert image.tobytes() == before
    assert hide(image, [FACE, outside, FACE], Redaction()) == 2


def test_overlapping_regions_are_all_hidden() -> None:
    image = noise(WIDTH, HEIGHT)
    beside = Region(box=Box(x_min=110, y_min=60, x_max=170, y_max=120), landmarks={})
    redaction = Redaction(style=Solid())
    hide(image, [FACE, beside], redaction)
    assert (np.asarray(image)[mask(FACE, beside, redaction=redaction)] == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_outline_is_drawn_in_every_mode_and_uncovers_nothing(mode: str) -> None:
    redaction = Redaction(style=Solid(), outline=True)
    after, before = hidden_and_original(mode, redaction)
    without, _ = hidden_and_original(mode, Redaction(style=Solid()))
    outlined = (after != without).any(axis=-1)
    assert outlined.any()
    assert len(np.unique(after[outlined], axis=0)) == 1
    hidden = mask(FACE, redaction=redaction)
    assert (after != before).any(axis=-1)[hidden].mean() > 0.97


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)], ids=str)
@pytest.mark.parametrize("style", STYLES, ids=repr)
def test_thinnest_pictures_are_hidden_whole(mode: str, size: tuple[int, int], style: Style) -> None:
    image = noise(*size, mode)
    whole = Region(box=Box(x_min=0, y_min=0, x_max=size[0], y_max=size[1]), landmarks={})
    assert hide(image, [whole], Redaction(style=style, outline=True)) == 1
    assert image.size == size


def test_no_regions_change_nothing() -> None:
    image = noise(WIDTH, HEIGHT)
    before = image.tobytes()
    assert hide(image, [], Redaction(outline=True)) == 0
    assert image.tobytes() == before


@pytest.mark.parametrize("margin", [-0.01, 2.01, math.nan, math.inf, -math.inf])
def test_margin_out_of_range_is_refused(margin: float) -> None:
    with pytest.raises(InvalidRequest, match="margin must be between 0 and 2"):
        Redaction(margin=margin)


def test_one_region_too_far_away_refuses_all() -> None:
    far = Region(box=Box(x_min=1e6, y_min=0, x_max=1e6 + 10, y_max=10), landmarks={})
    image = noise(WIDTH, HEIGHT)
    before = image.tobytes()
    with pytest.raises(InvalidRequest, match="too far"):
        hide(image, [FACE, far], Redaction())
    assert image.tobytes() == before
