"""Hides regions of a JPEG in its coefficients; every block that no hidden region touches stays bit by bit as it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from services.anonymizer.appearance import icc_profile, stored_density
from services.anonymizer.jpeg.blocks import Component, Positions
from services.anonymizer.jpeg.coverage import Coverage, Sampling
from services.anonymizer.jpeg.markers import has_jfif, with_density, with_markers
from services.anonymizer.jpeg.placement import PlacedCutout, Rectangle, place
from services.anonymizer.jpeg.turbojpeg import BLOCK_PX, ColourSpace, RowOfBlocks, TurboJpeg, UnsupportedJpegError
from services.anonymizer.metadata import kept_exif
from services.anonymizer.redaction import NOISE, Redaction, outline_width_px
from services.anonymizer.regions import Cutout, Mask, grown
from services.anonymizer.spread import BEFORE_BLOCKS_PX
from services.anonymizer.styles import Scene, Style
from services.chassis.pictures.picture import Picture
from services.chassis.process.patience import still_awaited

_TWO_VALUES_FROM = 192
_ONE_VALUE_FROM = 768
"""Faces of so many samples are drawn with two values to a block's side, or one: fine enough for their cells."""
_BLOCKS_AT_ONCE = 16_384
"""Frames of many regions may touch every block of a picture."""
_MOST_PX_A_SAMPLE = 4  # what libjpeg-turbo knows of: 4:2:0, 4:1:1 and their like


@dataclass(frozen=True, slots=True, kw_only=True)
class _Colours:
    """Values of one component."""

    black: int
    outline: int
    noise: float


def _colours(black: Sequence[int], outline: Sequence[int], noise: Sequence[float]) -> list[_Colours]:
    return [_Colours(black=b, outline=o, noise=n) for b, o, n in zip(black, outline, noise, strict=True)]


# Of CMYK files 255 means no ink, as Adobe's programs write it.
_COLOURS = {
    ColourSpace.GREY: _colours((0,), (255,), (NOISE,)),
    ColourSpace.YCBCR: _colours((0, 128, 128), (148, 111, 22), (NOISE, 0, 0)),
    ColourSpace.RGB: _colours((0, 0, 0), (0, 230, 118), (NOISE, NOISE, NOISE)),
    ColourSpace.CMYK: _colours((255, 255, 255, 0), (0, 255, 118, 230), (NOISE, NOISE, NOISE, 0)),
    ColourSpace.YCCK: _colours((0, 128, 128, 0), (92, 154, 244, 230), (NOISE, 0, 0, 0)),
}


def redact_jpeg(
    picture: Picture,
    cutouts: Sequence[Cutout],
    redaction: Redaction,
    turbojpeg: TurboJpeg,
    *,
    keep_capture_time: bool = False,
) -> bytes:
    """Hides what the cutouts cover; of the metadata only colours, density and the orientation stay.

    A sample is hidden where any pixel that it covers is, so that subsampled chroma tells nothing either. What is drawn
    comes from blocks that hold no hidden sample, nor one beside it: in all others the encoder has mixed what is hidden
    into what is not.

    Raises:
        UnsupportedJpegError: The file is damaged, or cannot be rewritten in its coefficients.
    """
    canvas = _Canvas(_planes(picture, cutouts, redaction, turbojpeg))
    header = picture.header()
    rewritten = turbojpeg.rewrite(picture.content, canvas, progressive="progressive" in header.info)
    density = None if header.info.get("jfif_unit") else stored_density(header, picture.content)
    if density and has_jfif(rewritten):
        rewritten, density = with_density(rewritten, density), None
    return with_markers(
        rewritten,
        exif=kept_exif(
            picture,
            keep_capture_time=keep_capture_time,
            orientation=picture.orientation if picture.turned else None,
            density=density,
        ),
        icc_profile=icc_profile(header, picture.content),
    )


@dataclass(frozen=True, slots=True)
class _Canvas:
    """All components while regions are drawn into them: a `turbojpeg.Editor`."""

    planes: Sequence[_Plane]

    @property
    def wanted(self) -> list[list[bool]]:
        return [plane.component.wanted for plane in self.planes]

    def read(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        self.planes[component].component.read(row, blocks)

    def draw(self) -> None:
        for plane in self.planes:
            plane.draw()

    def change(self, component: int, row: int, blocks: RowOfBlocks) -> None:
        self.planes[component].component.change(row, blocks)


def _planes(picture: Picture, cutouts: Sequence[Cutout], redaction: Redaction, turbojpeg: TurboJpeg) -> list[_Plane]:
    stored, header = turbojpeg.header(picture.content), picture.header()
    assert isinstance(header, JpegImagePlugin.JpegImageFile)  # noqa: S101  (for the type checker)
    colours = _COLOURS[stored.colour_space]
    if (stored.width_px, stored.height_px) != header.size or len(header.layer) != len(colours):
        raise UnsupportedJpegError("its header is ambiguous")
    if not all(table in header.quantization and all(header.quantization[table]) for *_, table in header.layer):
        raise UnsupportedJpegError("a quantisation table is missing or holds a step of 0")
    most_across, most_down = (max(layer[axis] for layer in header.layer) for axis in (1, 2))
    unit_px = (most_across * BLOCK_PX, most_down * BLOCK_PX)
    upright = {"width_px": picture.width_px, "height_px": picture.height_px}
    placed = [place(cutout, picture) for cutout in cutouts]
    mixed = [place(grown(cutout, BEFORE_BLOCKS_PX, **upright), picture) for cutout in cutouts]
    scene = _Placed(
        cutouts=placed,
        hidden=Coverage(placed, size=header.size, unit_px=unit_px),
        mixed=Coverage(mixed, size=header.size, unit_px=unit_px),
        outlines=Coverage(
            _outlines(placed, outline_width_px(*header.size)) if redaction.outline else [],
            size=header.size,
            unit_px=unit_px,
        ),
        style=redaction.style,
    )
    return [
        _Plane(
            scene,
            colours=of_component,
            sampling=_sampling(header.size, most_across / across, most_down / down),
            quantisation=np.array(header.quantization[table], np.float32),
        )
        for (_, across, down, table), of_component in zip(header.layer, colours, strict=True)
    ]


def _sampling(size: tuple[int, int], across_px: float, down_px: float) -> Sampling:
    if not (across_px.is_integer() and down_px.is_integer() and max(across_px, down_px) <= _MOST_PX_A_SAMPLE):
        raise UnsupportedJpegError("its chroma is subsampled in a rare way")
    return Sampling(
        across_px=int(across_px),
        down_px=int(down_px),
        rows=math.ceil(size[1] / (BLOCK_PX * down_px)),
        columns=math.ceil(size[0] / (BLOCK_PX * across_px)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """What is to be drawn into every component."""

    cutouts: Sequence[PlacedCutout]
    hidden: Coverage
    mixed: Coverage
    """What an encoder may have mixed with what is hidden before it cut the picture into blocks."""
    outlines: Coverage
    style: Style


class _Plane:
    """A component while regions are drawn into it."""

    def __init__(
        self, placed: _Placed, *, colours: _Colours, sampling: Sampling, quantisation: NDArray[np.float32]
    ) -> None:
        self._placed = placed
        self._colours = colours
        self._sampling = sampling
        self._touched, self._whole = placed.hidden.blocks(sampling)
        self._mixed, _ = placed.mixed.blocks(sampling)
        self._outlined, _ = placed.outlines.blocks(sampling)
        self._whole = self._whole & ~self._outlined  # frames are drawn over what already stands there
        self._needed = (self._touched & ~self._whole) | self._outlined
        seen = self._needed.copy()
        for cutout in placed.cutouts:
            still_awaited()
            window = self._window(cutout)
            seen[window.rows, window.columns] = True
            if self._values_a_side(cutout) == BLOCK_PX:
                box = sampling.blocks(cutout.box)
                self._needed[box.rows, box.columns] |= self._touched[box.rows, box.columns]
        self.component = Component(quantisation=quantisation, seen=seen, needed=self._needed)

    def draw(self) -> None:
        """Hides what is to be hidden, then draws the frames around it."""
        for cutout in self._placed.cutouts:
            still_awaited()
            self._hide(cutout)
        rows, columns = np.nonzero(self._outlined)
        for start in range(0, len(rows), _BLOCKS_AT_ONCE):
            still_awaited()
            at = rows[start : start + _BLOCKS_AT_ONCE], columns[start : start + _BLOCKS_AT_ONCE]
            framed = self._placed.outlines.samples(self._sampling, at)
            samples = self.component.samples(at)
            self.component.replace(at, np.where(framed, np.uint8(self._colours.outline), samples))

    def _hide(self, cutout: PlacedCutout) -> None:
        """Draws all that is hidden in the cutout's box."""
        window, box = self._window(cutout), self._sampling.blocks(cutout.box)
        side = self._values_a_side(cutout)
        drawn = self._drawn(cutout, window, side)
        own = drawn[box.top - window.top : box.bottom - window.top, box.left - window.left : box.right - window.left]
        remain = self._touched[box.rows, box.columns]
        if side < BLOCK_PX:
            whole = self._whole[box.rows, box.columns]
            self.component.fill(_positions(whole, box), own[whole])
            remain = remain & ~whole
        enlarged = own[remain].repeat(BLOCK_PX // side, axis=1).repeat(BLOCK_PX // side, axis=2)
        at = _positions(remain, box)
        hidden = self._placed.hidden.samples(self._sampling, at)
        self.component.replace(at, np.where(hidden, enlarged, self.component.samples(at)))

    def _drawn(self, cutout: PlacedCutout, window: Rectangle, side: int) -> NDArray[np.uint8]:
        """What the style draws, R x C blocks x side x side, from the averages of blocks that hold nothing hidden."""
        averages = self.component.averages(window.rows, window.columns)
        blocks = averages[..., None, None].repeat(side, axis=2).repeat(side, axis=3)
        if self._placed.style.weak and side == BLOCK_PX:  # it averages what is hidden
            decoded = self._needed[window.rows, window.columns]
            blocks[decoded] = self.component.samples(_positions(decoded, window))
        visible = ~self._mixed[window.rows, window.columns].repeat(side, axis=0).repeat(side, axis=1)
        return self._rendered(blocks, visible, cutout)

    def _rendered(self, blocks: NDArray[np.uint8], visible: Mask, cutout: PlacedCutout) -> NDArray[np.uint8]:
        rows, columns, side, _ = blocks.shape
        face_px = cutout.face_px * side / BLOCK_PX
        scene = Scene(
            face_px=(face_px / self._sampling.across_px, face_px / self._sampling.down_px),
            opaque_black=(self._colours.black,),
            noise=(self._colours.noise,),
            seed=cutout.seed,
        )
        samples = blocks.swapaxes(1, 2).reshape(rows * side, columns * side, 1)
        rendered = self._placed.style.render(samples, visible, scene)
        return np.asarray(rendered.reshape(rows, side, columns, side).swapaxes(1, 2), np.uint8)

    def _window(self, cutout: PlacedCutout) -> Rectangle:
        """The blocks of the cutout's box and its context, with at least one around those that hold something hidden."""
        style, sampling, box = self._placed.style, self._sampling, cutout.box
        across = down = style.context_px(cutout.face_px)
        if not style.weak:
            across = max(across, BEFORE_BLOCKS_PX + BLOCK_PX * sampling.across_px)
            down = max(down, BEFORE_BLOCKS_PX + BLOCK_PX * sampling.down_px)
        return sampling.blocks(
            Rectangle(left=box.left - across, top=box.top - down, right=box.right + across, bottom=box.bottom + down)
        )

    def _values_a_side(self, cutout: PlacedCutout) -> int:
        """How finely a face is drawn: values along a block's side."""
        samples = cutout.face_px / max(self._sampling.across_px, self._sampling.down_px)
        if samples < _TWO_VALUES_FROM:
            return BLOCK_PX
        return 2 if samples < _ONE_VALUE_FROM else 1


def _positions(grid: NDArray[np.bool_], within: Rectangle) -> Positions:
    """Rows and columns of a part's marked blocks in the whole component."""
    rows, columns = np.nonzero(grid)
    return rows + within.top, columns + within.left


def _outlines(placed: Sequence[PlacedCutout], width_px: int) -> list[PlacedCutout]:
    """The four sides of each box, as cutouts of their own."""
    outlines = []
    for cutout in placed:
        box = cutout.box
        inner = Rectangle(
            left=min(box.left + width_px, box.right),
            top=min(box.top + width_px, box.bottom),
            right=max(box.right - width_px, box.left),
            bottom=max(box.bottom - width_px, box.top),
        )
        for side in (
            replace(box, bottom=inner.top),
            replace(box, top=inner.bottom),
            replace(box, right=inner.left),
            replace(box, left=inner.right),
        ):
            rows = side.bottom - side.top
            first, end = np.full(rows, side.left, np.int32), np.full(rows, side.right, np.int32)
            outlines.append(replace(cutout, box=side, first=first, end=end))
    return outlines
