"""What encoders mixed of a face into its surroundings, before the picture came, is not drawn from either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from services.anonymizer.anonymization import RE_ENCODED, anonymize
from services.anonymizer.encoding import AS_IT_CAME, Output
from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels
from services.anonymizer.regions import Mask, Region, Shape
from services.anonymizer.spread import spread_px
from services.anonymizer.styles import Blur, Mosaic, Scene, Style
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture import open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.pictures.pixels import Samples
from services.chassis.process.settings import PictureLimits
from tests.support.jpegs import coefficients, touched_blocks
from tests.support.pictures import decode, encode, noise
from tests.unit.anonymizer.test_nothing_of_the_face_enters import Case, cases, hidden

LIMITS = PictureLimits(max_bytes=1 << 22, max_pixels=1 << 22)
PNG, WEBP = Output(format=PictureFormat.PNG), Output(format=PictureFormat.WEBP)
Pixels = NDArray[np.uint8]
Factors = Sequence[tuple[int, int]]

SAMPLINGS: dict[str, Factors] = {  # of each component, down and across
    "4:4:4": ((1, 1), (1, 1), (1, 1)),
    "4:2:2": ((1, 2), (1, 1), (1, 1)),
    "4:2:0": ((2, 2), (1, 1), (1, 1)),
    "4:4:0": ((2, 1), (1, 1), (1, 1)),
    "4:1:1": ((1, 4), (1, 1), (1, 1)),
    "4:1:0": ((2, 4), (1, 1), (1, 1)),
    "3 across": ((1, 3), (1, 1), (1, 1)),
    "unlike chroma": ((2, 2), (2, 1), (1, 2)),
    "coarse luma": ((1, 1), (1, 2), (1, 1)),
}
REWRITTEN = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1")
STYLES: list[Style] = [Mosaic(strength=0.5), Blur(strength=0.5)]


@dataclass(frozen=True)
class Watched:
    """A style that keeps what it drew."""

    style: Style
    drawn: list[bytes] = field(default_factory=list)
    weak = False

    def context_px(self, face_px: float) -> int:
        return self.style.context_px(face_px)

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:
        rendered = self.style.render(samples, visible, scene)
        self.drawn.append(rendered.tobytes())
        return rendered


def drawn(content: bytes, regions: list[Region], style: Style, output: Output = AS_IT_CAME) -> list[bytes]:
    """All that was drawn into the picture, before it was encoded."""
    watched = Watched(style)
    anonymize(content, regions, Redaction(style=watched), limits=LIMITS, output=output)
    assert watched.drawn
    return watched.drawn


def filled(pixels: Pixels, mask: NDArray[np.bool_]) -> list[Pixels]:
    """The picture with its hidden pixels as they are, black, white and noise."""
    black, white, noisy = pixels.copy(), pixels.copy(), pixels.copy()
    black[mask], white[mask] = 0, 255
    height, width = mask.shape
    noisy[mask] = np.asarray(noise(width, height, seed=5)).reshape(height, width, 3)[mask][..., : pixels[0, 0].size]
    return [pixels, black, white, noisy]


def jpeg(pixels: Pixels, path: Path, sampling: str, quality: int, *, smoothing: int = 0) -> bytes:
    """Written by libjpeg with any sampling."""
    picture = jpeglib.from_spatial(pixels)
    picture.samp_factor = SAMPLINGS[sampling]
    picture.write_spatial(str(path), qt=quality, smoothing_factor=smoothing)
    return path.read_bytes()


def portrait(side_px: int) -> tuple[Pixels, list[Region]]:
    """A photograph and where its face is, which is so long."""
    scale = side_px / 110
    side = round(224 * scale)
    photograph = Image.fromarray(data.astronaut()[:224, 110:334]).resize((side, side))
    box = Box(x_min=70 * scale, y_min=60 * scale, x_max=155 * scale, y_max=170 * scale)
    return np.asarray(photograph), [Region(box=box, landmarks={})]


def mask_of(pixels: Pixels, regions: list[Region], redaction: Redaction | None = None) -> NDArray[np.bool_]:
    height, width = pixels.shape[:2]
    cutouts = cut_outs(regions, redaction or Redaction(), width_px=width, height_px=height)
    return hidden_pixels(cutouts, width_px=width, height_px=height)


@pytest.mark.parametrize("side_px", [12, 40, 200])
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_what_is_drawn_into_a_jpeg_of_any_sampling_tells_nothing(
    sampling: str, quality: int, side_px: int, tmp_path: Path
) -> None:
    pixels, regions = portrait(side_px)
    files = [jpeg(p, tmp_path / "a.jpg", sampling, quality) for p in filled(pixels, mask_of(pixels, regions))]
    assert len(set(files)) == len(files)
    for style in STYLES:
        for output in (AS_IT_CAME, PNG):
            first, *others = (drawn(file, regions, style, output) for file in files)
            assert all(other == first for other in others)
    notice = anonymize(files[0], regions, Redaction(), limits=LIMITS).notice
    assert (notice == RE_ENCODED) is (sampling not in REWRITTEN)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=cases(),
    sampling=st.sampled_from(sorted(SAMPLINGS)),
    quality=st.integers(30, 95),
    smoothing=st.sampled_from([0, 50, 100]),
    style=st.sampled_from(STYLES),
    shape=st.sampled_from(Shape),
    margin=st.floats(0, 1),
    output=st.sampled_from([AS_IT_CAME, PNG]),
)
def test_what_is_drawn_into_any_jpeg_does_not_depend_on_what_was_hidden_before_it_was_encoded(  # noqa: PLR0913, PLR0917
    case: Case,
    sampling: str,
    quality: int,
    smoothing: int,
    style: Style,
    shape: Shape,
    margin: float,
    output: Output,
    tmp_path: Path,
) -> None:
    mask = hidden(case, Redaction(shape=shape, margin=margin))
    assume(mask.any())
    pixels = np.asarray(noise(case.width_px, case.height_px, seed=case.seed))
    drawings = []
    for fill in filled(pixels, mask):
        watched = Watched(style)
        content = jpeg(fill, tmp_path / "a.jpg", sampling, quality, smoothing=smoothing)
        redaction = Redaction(style=watched, shape=shape, margin=margin)
        anonymize(content, case.regions, redaction, limits=LIMITS, output=output)
        drawings.append(watched.drawn)
    assert all(drawing == drawings[0] for drawing in drawings[1:])


@pytest.mark.parametrize("side_px", [55, 110, 220])
@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("sampling", REWRITTEN)
def test_wholly_hidden_blocks_of_the_answer_are_the_same_bit_by_bit(
    sampling: str, quality: int, side_px: int, tmp_path: Path
) -> None:
    pixels, regions = portrait(side_px)
    mask = mask_of(pixels, regions)
    answers = [
        coefficients(
            anonymize(jpeg(p, tmp_path / "a.jpg", sampling, quality), regions, Redaction(), limits=LIMITS).content,
            tmp_path,
        )
        for p in filled(pixels, mask)
    ]
    compared = 0
    for first, *others in zip(*answers, strict=True):
        grid = first.shape[:2]
        whole = touched_blocks(mask, grid) & ~touched_blocks(~mask, grid)
        compared += int(whole.sum())
        assert all(np.array_equal(other[whole], first[whole]) for other in others)
        untouched = ~touched_blocks(mask, grid)
        assert all(np.array_equal(other[untouched], first[untouched]) for other in others)
    assert compared


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "grey JPEG": lambda image: encode(image.convert("L"), "JPEG", quality=50),
    "CMYK JPEG": lambda image: encode(image.convert("CMYK"), "JPEG", quality=50),
    "RGB JPEG": lambda image: encode(image, "JPEG", quality=50, keep_rgb=True),
    "progressive JPEG": lambda image: encode(image, "JPEG", quality=50, progressive=True),
    "turned JPEG": lambda image: encode(image, "JPEG", quality=50, exif=oriented(6)),
    "mirrored JPEG": lambda image: encode(image, "JPEG", quality=50, exif=oriented(7)),
    "JPEG in TIFF": lambda image: encode(image, "TIFF", compression="jpeg", quality=50),
}


def oriented(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("style", STYLES, ids=repr)
@pytest.mark.parametrize("side_px", [30, 110])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_into_any_kind_of_jpeg_tells_nothing(kind: str, side_px: int, style: Style) -> None:
    pixels, regions = portrait(side_px)
    files = [KINDS[kind](Image.fromarray(p)) for p in filled(pixels, stored_mask(kind, pixels, regions))]
    outputs = [AS_IT_CAME] if kind == "CMYK JPEG" else [AS_IT_CAME, PNG, WEBP]
    for output in outputs:
        first, *others = (drawn(file, regions, style, output) for file in files)
        assert all(other == first for other in others)


def stored_mask(kind: str, pixels: Pixels, regions: list[Region]) -> NDArray[np.bool_]:
    """What is hidden, as it lies in the file."""
    mask = mask_of(pixels, regions)  # the picture is square, so turned it has the same size
    return {"turned JPEG": np.rot90(mask), "mirrored JPEG": np.rot90(mask, 2).T}.get(kind, mask)


def test_hidden_pixels_of_a_jpeg_answered_as_png_are_the_same(tmp_path: Path) -> None:
    pixels, regions = portrait(60)
    mask = mask_of(pixels, regions)
    answers = [
        np.asarray(
            decode(
                anonymize(
                    jpeg(p, tmp_path / "a.jpg", "4:2:0", 30), regions, Redaction(), limits=LIMITS, output=PNG
                ).content
            )
        )
        for p in filled(pixels, mask)
    ]
    assert all(np.array_equal(answer[mask], answers[0][mask]) for answer in answers[1:])


def test_faces_close_to_each_other_tell_nothing_of_each_other(tmp_path: Path) -> None:
    pixels, _ = portrait(60)
    regions = [
        Region(box=Box(x_min=x, y_min=y, x_max=x + 14, y_max=y + 18), landmarks={})
        for x in range(5, 100, 23)
        for y in range(5, 100, 29)
    ]
    files = [jpeg(p, tmp_path / "a.jpg", "4:2:0", 40) for p in filled(pixels, mask_of(pixels, regions))]
    for output in (AS_IT_CAME, PNG):
        first, *others = (drawn(file, regions, STYLES[0], output) for file in files)
        assert all(other == first for other in others)


@pytest.mark.parametrize("output", [AS_IT_CAME, PNG])
def test_picture_without_an_untouched_block_is_hidden_in_grey(output: Output) -> None:
    photograph = np.asarray(Image.fromarray(data.astronaut()[60:170, 180:265]).resize((17, 22)))
    regions = [Region(box=Box(x_min=2, y_min=2, x_max=15, y_max=20), landmarks={})]
    answer = anonymize(encode(Image.fromarray(photograph), "JPEG"), regions, Redaction(), limits=LIMITS, output=output)
    shown = np.asarray(decode(answer.content)).astype(int)[mask_of(photograph, regions)]
    assert np.abs(shown.mean(axis=0) - 127.5).max() < 12


@pytest.mark.parametrize(
    ("file_format", "options", "most", "mean"),
    [
        ("WEBP", {"quality": 75}, 24, 4.0),
        ("WEBP", {"quality": 30}, 24, 4.0),
        ("HEIF", {"quality": 50}, 24, 4.0),
    ],
    ids=str,
)
def test_of_formats_that_predict_pixels_what_is_drawn_differs_by_little(
    file_format: str, options: dict[str, Any], most: int, mean: float
) -> None:
    pillow_heif.register_heif_opener()
    pixels, regions = portrait(110)
    mask = mask_of(pixels, regions)
    answers = []
    for fill in filled(pixels, mask)[1:3]:
        content = encode(Image.fromarray(fill), file_format, **options)
        answer = anonymize(content, regions, Redaction(), limits=LIMITS, output=PNG).content
        answers.append(np.asarray(decode(answer)).astype(int)[mask])
    difference = np.abs(answers[0] - answers[1])
    assert difference.mean() < mean
    assert difference.max() < most


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lambda image: encode(image, "PNG"), 0),
        (lambda image: encode(image, "BMP"), 0),
        (lambda image: encode(image, "TIFF"), 0),
        (lambda image: encode(image, "TIFF", compression="tiff_lzw"), 0),
        (lambda image: encode(image, "WEBP", lossless=True), 0),
        (lambda image: encode(image, "WEBP", quality=80), 24),
        (lambda image: encode(image, "JPEG", subsampling=0), 12),
        (lambda image: encode(image, "JPEG", subsampling=2), 21),
        (lambda image: encode(image, "TIFF", compression="jpeg"), 39),
    ],
)
def test_spread_follows_from_how_the_picture_was_encoded(
    content: Callable[[Image.Image], bytes], expected: int
) -> None:
    file = content(noise(40, 40))
    assert spread_px(open_picture(file, LIMITS)) == expected


def test_lossy_webp_with_an_alpha_channel_counts_as_lossy() -> None:
    file = encode(noise(40, 40, "RGBA"), "WEBP", quality=80)
    assert b"ALPH" in file
    assert spread_px(open_picture(file, LIMITS)) > 0
