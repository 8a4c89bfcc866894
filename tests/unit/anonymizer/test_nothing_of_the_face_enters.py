"""What the styles that are served unasked draw is the same whatever they hide; of the weak ones this test fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels
from services.anonymizer.regions import Region, Shape
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.pictures.geometry import Box, LandmarkType, Point
from services.chassis.process.settings import PictureLimits
from tests.support.pictures import decode, encode, noise

LIMITS = PictureLimits(max_bytes=1 << 20, max_pixels=1 << 20)
STRENGTHS = st.floats(0, 1)
SAFE = st.one_of(st.builds(Mosaic, strength=STRENGTHS), st.builds(Blur, strength=STRENGTHS), st.just(Solid()))
WEAK: list[Style] = [
    style
    for strength in (0.0, 0.5, 1.0)
    for style in (AveragingMosaic(strength=strength), GaussianBlur(strength=strength))
]
FACE = Region(box=Box(x_min=12, y_min=8, x_max=40, y_max=44), landmarks={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A picture's kind and size, where its faces are, and what was there."""

    mode: str
    width_px: int
    height_px: int
    regions: list[Region]
    seed: int


@st.composite
def regions_in(draw: st.DrawFn, width_px: int, height_px: int) -> Region:
    """Inside, across a border or around the whole picture; upright or turned."""
    x, y = st.floats(-width_px, 2 * width_px), st.floats(-height_px, 2 * height_px)
    x_min, x_max = sorted((draw(x), draw(x)))
    y_min, y_max = sorted((draw(y), draw(y)))
    eyes = (LandmarkType.LEFT_EYE, LandmarkType.RIGHT_EYE) if draw(st.booleans()) else ()
    return Region(
        box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
        landmarks={eye: Point(draw(x), draw(y)) for eye in eyes},
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to three regions, which may overlap, in a small picture."""
    width_px, height_px = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    whole = Region(box=Box(x_min=0, y_min=0, x_max=width_px, y_max=height_px), landmarks={})
    regions = st.lists(regions_in(width_px, height_px), min_size=1, max_size=3)
    return Case(
        mode=draw(st.sampled_from(["L", "LA", "RGB", "RGBA", "I;16"])),
        width_px=width_px,
        height_px=height_px,
        regions=[*draw(regions), *([whole] if draw(st.booleans()) else [])],
        seed=draw(st.integers(0, 2**16)),
    )


def hidden(case: Case, redaction: Redaction) -> NDArray[np.bool_]:
    """H x W, True where something is hidden."""
    cutouts = cut_outs(case.regions, redaction, width_px=case.width_px, height_px=case.height_px)
    return hidden_pixels(cutouts, width_px=case.width_px, height_px=case.height_px)


def two_faces_hidden(case: Case, redaction: Redaction) -> tuple[Image.Image, Image.Image]:
    """What comes of two pictures that are alike outside of the regions and have nothing in common inside."""
    one = noise(case.width_px, case.height_px, case.mode, seed=case.seed)
    other = noise(case.width_px, case.height_px, case.mode, seed=case.seed + 1)
    mask = hidden(case, redaction)
    pixels = np.asarray(other).copy()
    pixels[~mask] = np.asarray(one)[~mask]
    other = Image.frombytes(case.mode, one.size, pixels.tobytes())
    first, second = (
        decode(anonymize(encode(image, "PNG"), case.regions, redaction, limits=LIMITS).content)
        for image in (one, other)
    )
    return first, second


@settings(max_examples=150, deadline=None)
@given(case=cases(), style=SAFE, shape=st.sampled_from(Shape), margin=st.floats(0, 1), outline=st.booleans())
def test_what_is_drawn_does_not_depend_on_what_is_hidden(
    case: Case, style: Style, shape: Shape, margin: float, *, outline: bool
) -> None:
    redaction = Redaction(style=style, shape=shape, margin=margin, outline=outline)
    assume(hidden(case, redaction).any())
    one, other = two_faces_hidden(case, redaction)
    assert one.mode == other.mode
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("style", WEAK, ids=repr)
@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_what_a_weak_style_draws_does(style: Style, shape: Shape, mode: str) -> None:
    case = Case(mode=mode, width_px=56, height_px=60, regions=[FACE], seed=0)
    one, other = two_faces_hidden(case, Redaction(style=style, shape=shape))
    assert style.weak
    assert one.tobytes() != other.tobytes()


@given(style=SAFE)
def test_styles_that_do_not_depend_on_it_are_not_weak(style: Style) -> None:
    assert not style.weak
