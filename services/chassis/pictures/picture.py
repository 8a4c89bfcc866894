"""Encoded pictures: limits checked before decoding, shown upright and in sRGB, decoded as small as asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from services.chassis.errors import InvalidPicture, TooLarge
from services.chassis.pictures import decoding, jpeg_file, tiff_pages
from services.chassis.pictures.geometry import RgbImage
from services.chassis.pictures.looks import Backdrop, DecodedLook, Look, TurnedLook, fitted
from services.chassis.pictures.mending import mended
from services.chassis.pictures.orientation import UPRIGHT, other_orientation
from services.chassis.pictures.orientation import orientation as orientation_of
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.pictures.pixels import Pixels
from services.chassis.process.settings import PictureLimits
from services.chassis.process.sizes import limit_text, size_text

# JPEG as phones write it and HEIF may hold more pictures; only the first, of HEIF the primary one, counts.
_MULTI_PICTURE_JPEG = "MPO"
_FIRST_COUNTS = (_MULTI_PICTURE_JPEG, "HEIF")
_START_OF_SCAN = b"\xff\xda"

MAX_SCANS = 20
"""A progressive JPEG of `max_pixels` may come in so many scans, a smaller one in as many more: each is work for every
pixel, and costs its sender next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An encoded picture within the limits. Pixels are decoded by each call and not kept."""

    content: bytes
    format: PictureFormat
    width_px: int
    """Of the upright picture."""
    height_px: int
    """Of the upright picture."""
    orientation: int
    """How the stored picture is turned or mirrored against the upright one, as EXIF counts: 1 (not at all) to 8."""
    deep: bool
    """Whether its samples have 16 bits."""
    transparent: bool = False
    """Whether it has an alpha channel, or a colour that is transparent."""
    other_orientation: int = UPRIGHT
    """How some viewers turn the upright picture, as EXIF counts; 1 where all show it alike."""
    end_missing: bool = False
    """Whether the file ended without saying so: when it is decoded, it turns out whether all of it is there."""

    @property
    def turned(self) -> bool:
        """Whether the stored picture is mirrored or turned against the upright one."""
        return self.orientation != 1

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        return max(self.width_px, self.height_px)

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """The picture as viewers show it: upright, in 8-bit sRGB, H x W x 3; what is transparent stands on white.

        Args:
            long_side_px: Shrinks the picture (area average) to this longer side where it is larger; a JPEG is decoded
                at reduced scale then. None = full size.

        Raises:
            InvalidPicture: The content is damaged.
        """
        shrink = 1.0 if long_side_px is None else min(1.0, long_side_px / self.long_side_px)
        at_least = None
        with decoding.hostile_content():
            self._check_whole()
            if shrink < 1:
                stored_px = self.header().size
                # never smaller than asked for: the rest is done below, with a better filter
                at_least = (max(1, int(stored_px[0] * shrink)), max(1, int(stored_px[1] * shrink)))
            pixels = decoding.decode_shown(self.content, at_least=at_least).rgb(Backdrop.WHITE)
        return fitted(pixels, (self.width_px, self.height_px), long_side_px)

    def looks(self) -> Sequence[Look]:
        """All the ways in which viewers may show the picture, the usual one first; a search looks at each.

        Raises:
            InvalidPicture: The content is damaged.
        """
        looks: list[Look] = [self]
        if self.transparent:
            with decoding.hostile_content():
                decoded = decoding.decode_shown(self.content, at_least=None)
                looks = [DecodedLook(decoded=decoded, backdrop=backdrop) for backdrop in decoded.backdrops()]
        if self.other_orientation != UPRIGHT:
            looks.append(TurnedLook(shown=looks[0], orientation=self.other_orientation))
        return looks

    def header(self) -> Image.Image:
        """The picture as Pillow opens it: nothing is decoded yet."""
        with decoding.hostile_content():
            return decoding.open_file(self.content)

    def exif(self) -> Image.Exif:
        """Its EXIF block; empty where it has none that can be read."""
        return decoding.exif(self.header(), self.content)

    def pixels(self) -> Pixels:
        """Decodes to upright pixels with the channels and depth that the file has.

        Palettes become RGB or RGBA, bilevel pictures L, a transparent colour becomes an alpha channel.

        Raises:
            InvalidPicture: The content is damaged.
        """
        with decoding.hostile_content():
            self._check_whole()
            return decoding.decode_pixels(self.content)

    def _check_whole(self) -> None:
        if self.end_missing:
            jpeg_file.check_whole(self.content)


def open_picture(content: bytes, limits: PictureLimits) -> Picture:
    """Reads and checks a picture's header.

    Raises:
        TooLarge: Too many bytes or pixels.
        UnsupportedFormat: Not an accepted file format.
        InvalidPicture: Empty or damaged content, several frames, or a pixel type that cannot be processed.
    """
    if not content:
        raise InvalidPicture("the picture is empty; send the bytes of a picture file")
    if len(content) > limits.max_bytes:
        raise TooLarge(
            f"the picture has {size_text(len(content))}; at most {limit_text(limits.max_bytes)} are accepted"
        )
    with decoding.hostile_content():
        file = mended(content)
        content = file.content
        image = decoding.open_file(content)
        width_px, height_px = image.size
        if width_px * height_px > limits.max_pixels:
            raise TooLarge(
                f"the picture has {width_px} x {height_px} pixels; at most {limits.max_pixels} in all "
                f"({limits.max_pixels / 1e6:.3g} megapixels) are accepted"
            )
        decoding.check_pixel_type(image)
        if "progressive" in image.info:
            scans = content.count(_START_OF_SCAN)
            if scans * width_px * height_px > MAX_SCANS * limits.max_pixels:
                raise InvalidPicture(f"{scans} scans are too many for so large a JPEG; save it without progression")
        orientation, other = orientation_of(image, content), other_orientation(image, content)
        if image.format not in _FIRST_COUNTS and _has_second_picture(image, content):
            raise InvalidPicture("the picture has several frames or pages; send each as a picture of its own")
    if orientation >= 5:  # noqa: PLR2004  (EXIF orientations 5 to 8 are turned by 90 degrees)
        width_px, height_px = height_px, width_px
    return Picture(
        content=content,
        format=PictureFormat.JPEG if image.format == _MULTI_PICTURE_JPEG else PictureFormat(image.format),
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
        deep=decoding.is_deep(image),
        transparent="transparency" in image.info or image.mode.endswith(("A", "a")),
        other_orientation=other,
        end_missing=file.end_missing,
    )


def _has_second_picture(image: Image.Image, content: bytes) -> bool:
    if image.format == "TIFF" and tiff_pages.others_are_thumbnails(content):
        return False
    return decoding.has_second_frame(image)
