"""How far from a pixel its encoder has carried it: what is drawn over hidden pixels must come from farther away."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image, JpegImagePlugin

from services.chassis.pictures.picture import Picture
from services.chassis.pictures.picture_format import PictureFormat

_BLOCK_PX = 8
_MOST_PX_A_SAMPLE = 4  # of subsampled chroma, in any JPEG
BEFORE_BLOCKS_PX = 4
"""How far encoders mix pixels before they cut a picture into blocks: some smooth it, some shrink chroma by a cubic
filter and not by the average of the pixels that a sample covers."""
_WEBP_PX = 24
"""A macroblock of 16, the loop filter over its border, chroma between its samples. Prediction and the encoder's choices
carry the last levels of a value farther: as measured, no more beyond 24 pixels than anywhere in the picture."""
_HEIF_PX = 64
"""A coding tree unit. Prediction carries the last levels of a value farther, as in WebP."""
_EXACT_TIFF_COMPRESSIONS = frozenset(
    (
        "group3",
        "group4",
        "lzma",
        "packbits",
        "raw",
        "tiff_adobe_deflate",
        "tiff_ccitt",
        "tiff_deflate",
        "tiff_lzw",
        "tiff_raw_16",
        "zstd",
    )
)
_JPEG_IN_TIFF = frozenset(("jpeg", "tiff_jpeg"))
_SUBSAMPLED = "YCbCr"


def spread_px(picture: Picture) -> int:
    """Pixels farther away than this from a hidden one, across or down, do not show it; 0 for lossless formats.

    For JPEG, also inside of a TIFF, nothing at all of it; for WebP and HEIF no more than anywhere in the picture.

    Raises:
        InvalidPicture: The content is damaged.
    """
    match picture.format:
        case PictureFormat.PNG | PictureFormat.BMP:
            return 0
        case PictureFormat.JPEG:
            return _of_jpeg(_most_px_a_sample(picture.header()))
        case PictureFormat.TIFF:
            return _of_tiff(picture.header())
        case PictureFormat.WEBP:
            return 0 if b"VP8L" in _riff_chunks(picture.content) else _WEBP_PX
        case PictureFormat.HEIF:
            return _HEIF_PX


def _of_jpeg(px_a_sample: int) -> int:
    """To the far border of a block of the coarsest component, and a sample more: decoders smooth chroma over it."""
    return BEFORE_BLOCKS_PX + _BLOCK_PX * px_a_sample - 1 + px_a_sample


def _most_px_a_sample(header: Image.Image) -> int:
    if not isinstance(header, JpegImagePlugin.JpegImageFile):
        return _MOST_PX_A_SAMPLE
    return max((max(across, down) for _, across, down, _ in header.layer), default=_MOST_PX_A_SAMPLE)


def _of_tiff(header: Image.Image) -> int:
    compression = header.info.get("compression")
    if compression in _JPEG_IN_TIFF:
        return _of_jpeg(_MOST_PX_A_SAMPLE)
    if compression not in _EXACT_TIFF_COMPRESSIONS:
        return _HEIF_PX
    return 2 * _MOST_PX_A_SAMPLE if header.mode == _SUBSAMPLED else 0


def _riff_chunks(content: bytes) -> Iterator[bytes]:
    """Source: RFC 9649, section 2.3."""
    at = 12
    while at + 8 <= len(content):
        yield content[at : at + 4]
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
