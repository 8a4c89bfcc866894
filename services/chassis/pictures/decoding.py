"""Picture files through Pillow: opened without decoding, decoded upright. Hostile files end in one error."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pi_heif
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from services.chassis.errors import FacetError, InvalidPicture, UnsupportedFormat
from services.chassis.pictures import jpeg_file
from services.chassis.pictures.colour import colour_profile
from services.chassis.pictures.looks import Decoded
from services.chassis.pictures.orientation import EXIF_IN_PNG, orientation
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.pictures.pixels import Pixels, Samples
from services.chassis.pictures.srgb import to_srgb
from services.chassis.pictures.tiff_directory import check_tiff

ACCEPTED = ", ".join(f.name for f in PictureFormat)
_DECODERS = tuple(f.value for f in PictureFormat)
_CONVERTED_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "RGBa": "RGBA", "La": "LA"}
_DEEP_GREY_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
_TREATED_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16")
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DAMAGED = "the picture is damaged, truncated or of a rare kind and cannot be decoded; save it again as 8-bit RGB"
_STRIP_PX = 1 << 20

# Of 16-bit colour Pillow unpacks the upper byte of each sample. Told the other byte order, it unpacks the lower one.
_LOWER_BYTES = {
    f"{channels};16{order}": f"{channels};16{other}"
    for channels in ("RGB", "RGBX", "RGBA", "CMYK")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
_DEEP_GREY_WITH_ALPHA = "LA;16B"
_TWELVE_BITS = "I;12"
_WHITE_IS_ZERO, _UNSIGNED = 0, (1,)
_BIG_ENDIAN_WHITE_IS_ZERO = (b"MM", _WHITE_IS_ZERO, _UNSIGNED, 1, (16,), ())  # which Pillow does not know of
_FOUR_BYTES = "RGBA"


@contextmanager
def hostile_content() -> Iterator[None]:
    """Decoders raise nearly anything on hostile content; all of it means the picture is damaged."""
    try:
        yield
    except FacetError:
        raise
    except Exception as error:
        raise InvalidPicture(_DAMAGED) from error


def open_file(content: bytes) -> Image.Image:
    """The picture as Pillow opens it, its pixels not decoded.

    Raises:
        UnsupportedFormat: Not an accepted file format.
        InvalidPicture: It begins as one but is damaged.
    """
    _prepare_decoders()
    if content[:4] == b"GIF8":
        raise UnsupportedFormat(f"GIF is not accepted, animated or not; send each frame as one of {ACCEPTED}")
    check_tiff(content)
    try:
        image = Image.open(io.BytesIO(content), formats=_DECODERS)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            image.info.pop("xmp", None)  # by which Pillow would turn it, as no browser does
        if isinstance(image, JpegImagePlugin.JpegImageFile) and jpeg_file.has_icc_profile(image.applist):
            image.info["icc_profile"] = jpeg_file.icc_profile(image.applist)
        return image
    except UnidentifiedImageError as error:
        if any(begins(content[:16]) for _, begins in (Image.OPEN[name] for name in _DECODERS) if begins):
            raise InvalidPicture(_DAMAGED) from error
        raise UnsupportedFormat(f"the content is not an accepted picture; send one of {ACCEPTED}") from error


def _prepare_decoders() -> None:
    """Settings that Pillow and its plugins keep in global variables."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, checked in open_picture: Pillow's would only warn
    # One thread each, as pictures are worked on side by side. No thumbnails: one that lies in a file may show something
    # else than its picture, and what is searched for faces has to be what is answered.
    TiffImagePlugin.OPEN_INFO.setdefault(_BIG_ENDIAN_WHITE_IS_ZERO, ("I;16B", "I;16B"))
    pi_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def check_pixel_type(image: Image.Image) -> None:
    """Of an opened file.

    Raises:
        InvalidPicture: Pixels of a type that cannot be processed.
    """
    if image.mode not in (*_TREATED_MODES, *_CONVERTED_MODES, *_DEEP_GREY_MODES):
        raise InvalidPicture(f"pixels of type {image.mode} are not accepted; save it as 8-bit RGB")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        kinds = image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, _UNSIGNED)
        if set(kinds) - {1, 4}:  # unsigned, and undefined: Pillow would take signed ones for unsigned
            raise InvalidPicture("a TIFF of signed or floating-point samples is not accepted; save it as 8-bit RGB")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode not in _DEEP_GREY_MODES:
        separate = image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2  # noqa: PLR2004  (a plane a channel)
        deep = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8  # noqa: PLR2004  (bits)
        if deep and (separate or _raw_mode(image) not in _LOWER_BYTES):  # Pillow would show something else
            raise InvalidPicture("16-bit TIFF in planes or with multiplied alpha is not accepted; save it as 8-bit RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether an opened file's samples have 16 bits."""
    return image.mode in _DEEP_GREY_MODES or _raw_mode(image) in (_DEEP_GREY_WITH_ALPHA, *_LOWER_BYTES)


def has_second_frame(image: Image.Image) -> bool:
    """Whether an opened file has several frames or pages."""
    try:  # Pillow's `n_frames` would walk through all pages of a TIFF, of which hostile ones have hundreds of thousands
        image.seek(1)
    except EOFError:
        return False
    return True


def exif(image: Image.Image, content: bytes) -> Image.Exif:
    """The EXIF block of an opened file; empty where it has none that can be read."""
    if image.format == "PNG" and not any(chunk in content for chunk in EXIF_IN_PNG):
        return Image.Exif()  # Pillow would decode all of it to look for EXIF at its end
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001  (a damaged block says nothing)
        return Image.Exif()


def decode_shown(content: bytes, *, at_least: tuple[int, int] | None) -> Decoded:
    """The upright picture with the way to show it; of 16 bits the upper 8 stay unless colours need all.

    Args:
        content: An encoded picture that `check_pixel_type` accepts.
        at_least: A JPEG is decoded at reduced scale, but no smaller than this width and height. None = full size.
    """
    image = open_file(content)
    way = to_srgb(colour_profile(image, content))
    if is_deep(image) and not way.changes_nothing:
        pixels = decode_pixels(content)
        return Decoded(source=pixels.samples, inks=pixels.channels == "CMYK", to_srgb=way)
    if at_least:
        image.draft(None, at_least)
    image = _upright(image, content)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return Decoded(source=image, inks=False, to_srgb=way)


def decode_pixels(content: bytes) -> Pixels:
    """Upright pixels with the channels and depth that the file has.

    Palettes become RGB or RGBA, bilevel pictures L, a transparent colour becomes an alpha channel.

    Args:
        content: An encoded picture that `check_pixel_type` accepts.
    """
    image = open_file(content)
    raw_mode = _raw_mode(image)
    if raw_mode == _DEEP_GREY_WITH_ALPHA:
        _unpack_as(image, _FOUR_BYTES)
        deep = _copied(_upright(image, content)).view(">u2").astype(np.uint16)
        return Pixels(samples=deep, channels="LA")
    lower_bytes = _LOWER_BYTES.get(raw_mode)
    if lower_bytes is None and image.mode not in _DEEP_GREY_MODES:
        image = _upright(image, content)
        return Pixels(samples=_copied(image), channels=image.mode)
    transparent = image.info.pop("transparency", None)
    image = _upright(image, content)
    samples, channels = _copied(image), "L" if image.mode == "I;16" else image.mode
    if lower_bytes:
        samples = np.left_shift(samples, 8, dtype=np.uint16)
        image = open_file(content)
        image.info.pop("transparency", None)
        _unpack_as(image, lower_bytes)
        samples |= _copied(_upright(image, content))
    if transparent is None:
        return Pixels(samples=samples, channels=channels)
    opaque = (samples != np.asarray(transparent)).any(axis=-1, keepdims=True)
    return Pixels(samples=np.concatenate([samples, opaque * np.uint16(0xFFFF)], axis=-1), channels=channels + "A")


def _raw_mode(image: Image.Image) -> str:
    """How the samples lie in an opened PNG or TIFF, in Pillow's words; empty for other formats."""
    if image.format not in ("PNG", "TIFF") or not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    arguments = image.tile[0].args
    return str(arguments[0]) if isinstance(arguments, tuple) else str(arguments)


def _unpack_as(image: Image.Image, raw_mode: str) -> None:
    assert isinstance(image, ImageFile.ImageFile)  # noqa: S101  (for the type checker)
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]


def _white_is_zero(image: Image.Image) -> bool:
    """Whether an opened file is 16-bit grey of which Pillow, as it decodes it, forgets that 0 is white."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode not in _DEEP_GREY_MODES:
        return False
    return bool(image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO)


def _plain_grey(image: Image.Image, *, white_is_zero: bool, twelve_bits: bool) -> Image.Image:
    """16-bit grey in the machine's byte order, 0 black and 65535 white. Pillow's own conversion cuts off at 255."""
    samples: NDArray[np.uint16] = np.array(image).astype(np.uint16)
    if twelve_bits:
        samples = np.bitwise_or(np.left_shift(samples, 4), np.right_shift(samples, 8), dtype=np.uint16)
    if white_is_zero:
        np.invert(samples, out=samples)
    return Image.fromarray(samples)


def _upright(image: Image.Image, content: bytes) -> Image.Image:
    turned_as, size = orientation(image, content), image.size
    raw_mode, white_is_zero = _raw_mode(image), _white_is_zero(image)
    image.load()
    if image.size != size:
        raise InvalidPicture("the picture's header and pixels disagree about its size; save it again")
    if "transparency" in image.info and image.mode in ("P", "RGB", "L", "1"):
        image = image.convert("LA" if image.mode in ("L", "1") else "RGBA")
    elif image.mode in _CONVERTED_MODES:
        image = image.convert(_CONVERTED_MODES[image.mode])
    elif image.mode in _DEEP_GREY_MODES and (image.mode != "I;16" or white_is_zero or raw_mode == _TWELVE_BITS):
        image = _plain_grey(image, white_is_zero=white_is_zero, twelve_bits=raw_mode == _TWELVE_BITS)
    return image.transpose(_TRANSPOSITIONS[turned_as]) if turned_as in _TRANSPOSITIONS else image


def _copied(image: Image.Image) -> Samples:
    """Copies strip by strip: all at once, Pillow would hold the picture three times."""
    dtype, channels = (np.uint16, 1) if image.mode == "I;16" else (np.uint8, len(image.getbands()))
    samples = np.empty((image.height, image.width, channels), dtype)
    rows = max(1, _STRIP_PX // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        samples[top : top + rows] = np.asarray(strip).reshape(strip.height, strip.width, channels)
    return samples
