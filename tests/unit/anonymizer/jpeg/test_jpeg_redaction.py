"""Hiding in a JPEG's coefficients: hidden is what must be, and every other coefficient is what it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.jpeg.redaction import redact_jpeg
from services.anonymizer.jpeg.turbojpeg import RowOfBlocks, TurboJpeg, UnsupportedJpegError, load_turbojpeg
from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels
from services.anonymizer.regions import Cutout, Region, Shape
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.errors import InvalidPicture
from services.chassis.pictures.geometry import Box, LandmarkType, Point
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.process.settings import PictureLimits
from tests.support.jpegs import coefficients, touched_blocks
from tests.support.pictures import encode, noise, smooth

LIMITS = PictureLimits(max_bytes=50_000_000, max_pixels=50_000_000)
STYLES: list[Style] = [
    Mosaic(strength=0.5),
    Blur(strength=0.5),
    Solid(),
    AveragingMosaic(strength=0.5),
    GaussianBlur(strength=0.5),
]
SAFE_STYLES = STYLES[:3]
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "4:4:4": ("RGB", {"subsampling": 0}),
    "4:2:2": ("RGB", {"subsampling": 1}),
    "4:2:0": ("RGB", {"subsampling": 2}),
    "grey": ("L", {}),
    "CMYK": ("CMYK", {}),
    "RGB": ("RGB", {"keep_rgb": True}),
    "progressive": ("RGB", {"progressive": True}),
    "restart markers": ("RGB", {"restart_marker_blocks": 3}),
    "quality 30": ("RGB", {"quality": 30}),
}
TILTED = {LandmarkType.LEFT_EYE: Point(85, 70), LandmarkType.RIGHT_EYE: Point(115, 85)}
FACES = [
    Region(box=Box(x_min=70, y_min=50, x_max=130, y_max=130), landmarks=TILTED),
    Region(box=Box(x_min=120, y_min=60, x_max=170, y_max=120), landmarks={}),
    Region(box=Box(x_min=190, y_min=140, x_max=230, y_max=190), landmarks={}),  # over the right and lower edge
]
BIG = [Region(box=Box(x_min=200, y_min=150, x_max=460, y_max=440), landmarks={}), *FACES[:1]]
HUGE = [Region(box=Box(x_min=300, y_min=200, x_max=1100, y_max=1150), landmarks={})]
SIZE = (203, 181)
"""No multiple of any unit."""


@pytest.fixture(name="turbojpeg")
def the_library() -> TurboJpeg:
    library = load_turbojpeg()
    assert library is not None, "install libturbojpeg0"
    return library


def jpeg(kind: str, *, size: tuple[int, int] = SIZE, orientation: int = 1) -> bytes:
    mode, options = KINDS[kind]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.blend(smooth(*size), noise(*size), 0.3).convert(mode)
    return encode(picture, "JPEG", **{"quality": 88, **options}, exif=exif.tobytes())


def opened(content: bytes, regions: list[Region], redaction: Redaction) -> tuple[Picture, list[Cutout]]:
    picture = open_picture(content, LIMITS)
    return picture, cut_outs(regions, redaction, width_px=picture.width_px, height_px=picture.height_px)


def hide(content: bytes, regions: list[Region], redaction: Redaction, turbojpeg: TurboJpeg) -> bytes:
    return redact_jpeg(*opened(content, regions, redaction), redaction, turbojpeg)


def mask(content: bytes, regions: list[Region], redaction: Redaction) -> NDArray[np.bool_]:
    picture, cutouts = opened(content, regions, redaction)
    return hidden_pixels(cutouts, width_px=picture.width_px, height_px=picture.height_px)


def decoded(content: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image).astype(np.int64).reshape(image.height, image.width, -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES, ids=repr)
def test_every_coefficient_outside_of_the_touched_blocks_stays(
    kind: str, style: Style, turbojpeg: TurboJpeg, tmp_path: Path
) -> None:
    content, redaction = jpeg(kind), Redaction(style=style)
    hidden = mask(content, FACES, redaction)
    after, before = (coefficients(file, tmp_path) for file in (hide(content, FACES, redaction, turbojpeg), content))
    assert len(after) == len(before)
    for new, old in zip(after, before, strict=True):
        touched = touched_blocks(hidden, old.shape[:2])
        changed = (new != old).any(axis=(2, 3))
        assert not (changed & ~touched).any()
    luma_touched = touched_blocks(hidden, before[0].shape[:2])
    assert (after[0] != before[0]).any(axis=(2, 3))[luma_touched].mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", Shape)
def test_solid_is_black_to_the_last_pixel_of_the_inside(kind: str, shape: Shape, turbojpeg: TurboJpeg) -> None:
    content, redaction = jpeg(kind, size=(640, 560)), Redaction(style=Solid(), shape=shape)
    pixels = decoded(hide(content, BIG, redaction, turbojpeg))
    hidden = mask(content, BIG, redaction)
    inside = hidden.copy()
    for axis in (0, 1):  # decoders smooth subsampled chroma over the border, and coarse steps ring beside it
        for step in (-1, 1):
            for _ in range(18):
                inside &= np.roll(inside, step, axis=axis)
    assert inside.any()
    black = (0, 0, 0, 255) if pixels.shape[2] == 4 else (0,) * pixels.shape[2]
    assert np.abs(pixels[inside] - black).max() <= 2


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("style", SAFE_STYLES, ids=repr)
@pytest.mark.parametrize("scene", [(SIZE, FACES), ((640, 560), BIG), ((1300, 1200), HUGE)], ids=["fine", "two", "one"])
def test_nothing_of_wholly_hidden_blocks_enters(
    kind: str, style: Style, scene: tuple[tuple[int, int], list[Region]], turbojpeg: TurboJpeg, tmp_path: Path
) -> None:
    size, regions = scene
    content, redaction = jpeg(kind, size=size), Redaction(style=style)
    hidden = mask(content, regions, redaction)
    grids = [part.shape[:2] for part in coefficients(content, tmp_path)]
    whole = [~touched_blocks(~hidden, grid) & touched_blocks(hidden, grid) for grid in grids]
    other = turbojpeg.rewrite(content, Scrambler(whole))
    assert coefficients(other, tmp_path)[0].tobytes() != coefficients(content, tmp_path)[0].tobytes()
    assert hide(other, regions, redaction, turbojpeg) == hide(content, regions, redaction, turbojpeg)


class Scrambler:
    """Writes noise into the coefficients of some blocks."""

    def __init__(self, blocks: list[NDArray[np.bool_]]) -> None:
        self._blocks = blocks
        self._dice = np.random.default_rng(3)

    @property
    def wanted(self) -> list[list[bool]]:
        return [[bool(row.any()) for row in blocks] for blocks in self._blocks]

    def read(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        pass

    def draw(self) -> None:
        pass

    def change(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        some = np.flatnonzero(self._blocks[component][row])
        blocks[some] = self._dice.integers(-5, 6, (len(some), 64))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_hidden_where_it_is_shown(orientation: int, turbojpeg: TurboJpeg) -> None:
    content, redaction = jpeg("4:2:0", orientation=orientation), Redaction(style=Solid())
    picture, cutouts = opened(content, FACES, redaction)
    answer = open_picture(redact_jpeg(picture, cutouts, redaction, turbojpeg), LIMITS)
    assert (answer.width_px, answer.height_px) == (picture.width_px, picture.height_px)
    assert answer.orientation == orientation
    hidden = hidden_pixels(cutouts, width_px=picture.width_px, height_px=picture.height_px)
    before, after = picture.rgb().astype(int), answer.rgb().astype(int)
    assert after[hidden].mean() < 6
    assert np.abs(after - before)[~hidden].mean() < 2


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "grey", "CMYK", "RGB"])
def test_outline_frames_each_region_and_uncovers_nothing(kind: str, turbojpeg: TurboJpeg) -> None:
    content = jpeg(kind, size=(640, 560))
    plain, framed = (
        decoded(hide(content, BIG[:1], Redaction(style=Solid(), outline=outline), turbojpeg))
        for outline in (False, True)
    )
    _, cutouts = opened(content, BIG[:1], Redaction(style=Solid()))
    box = cutouts[0]
    expected = {1: (255,), 3: (0, 230, 118), 4: (255, 0, 137, 25)}[plain.shape[2]]
    row = framed[box.top, box.left + 20 : box.right - 20]
    assert np.abs(row - expected).mean() < 25
    hidden = mask(content, BIG[:1], Redaction(style=Solid()))
    inside = (slice(box.top + 40, box.bottom - 40), slice(box.left + 40, box.right - 40))
    assert np.abs(framed[inside][hidden[inside]] - plain[inside][hidden[inside]]).max() <= 4


def test_faces_large_and_small_look_alike_however_they_are_drawn(turbojpeg: TurboJpeg) -> None:
    small = np.asarray(Image.fromarray(gradient(300)), np.uint8)
    looks = []
    for scale in (1, 3, 8):  # drawn with eight, two and one value to a block's side
        picture = Image.fromarray(small).resize((300 * scale, 300 * scale), Image.Resampling.BILINEAR)
        region = Region(box=Box(x_min=90 * scale, y_min=80 * scale, x_max=200 * scale, y_max=210 * scale), landmarks={})
        content = hide(encode(picture, "JPEG", quality=92), [region], Redaction(style=Blur(strength=0.5)), turbojpeg)
        with Image.open(io.BytesIO(content)) as image:
            looks.append(np.asarray(image.resize((300, 300), Image.Resampling.BOX)).astype(int))
    for look in looks[1:]:
        assert np.abs(look - looks[0]).mean() < 4


def gradient(side: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:side, 0:side] / side
    return (np.stack([x, y, 1 - x], axis=-1) * 255).astype(np.uint8)


def test_without_regions_no_coefficient_changes(turbojpeg: TurboJpeg, tmp_path: Path) -> None:
    content = jpeg("4:2:0")
    after, before = (coefficients(file, tmp_path) for file in (hide(content, [], Redaction(), turbojpeg), content))
    assert all(np.array_equal(new, old) for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize(
    "regions",
    [
        [Region(box=Box(x_min=0, y_min=0, x_max=s[0], y_max=s[1]), landmarks={})]
        for s in [(1, 1), (1, 300), (300, 1), (8, 8)]
    ],
    ids=str,
)
@pytest.mark.parametrize("style", STYLES, ids=repr)
@pytest.mark.parametrize("kind", ["4:2:0", "grey"])
def test_thinnest_pictures_are_hidden_whole(
    regions: list[Region], style: Style, kind: str, turbojpeg: TurboJpeg
) -> None:
    size = (int(regions[0].box.x_max), int(regions[0].box.y_max))
    redaction = Redaction(style=style, outline=True)
    assert decoded(hide(jpeg(kind, size=size), regions, redaction, turbojpeg)).shape[:2] == size[::-1]


@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: c[:300] + b"\xff\xd9", lambda _: b"\xff\xd8\xff"]
)
def test_damaged_files_are_not_rewritten(damage: Callable[[bytes], bytes], turbojpeg: TurboJpeg) -> None:
    content = jpeg("4:2:0")
    picture, cutouts = opened(content, FACES, Redaction())
    damaged = Picture(
        content=damage(content),
        format=picture.format,
        width_px=picture.width_px,
        height_px=picture.height_px,
        orientation=1,
        deep=False,
    )
    with pytest.raises((UnsupportedJpegError, InvalidPicture)):
        redact_jpeg(damaged, cutouts, Redaction(), turbojpeg)
