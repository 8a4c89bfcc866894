"""Writes a picture back in the format it came in, without its metadata; the colour profile stays."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from PIL import Image, JpegImagePlugin

from services.chassis.picture import Picture
from services.chassis.picture_format import PictureFormat

_LOSSLESS_TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")
_WEBP_QUALITY = 90
_PNG_COMPRESS_LEVEL = 3  # level 6 makes a file a few per cent smaller in three times the time
_FULL_CHROMA = 0


def encode(image: Image.Image, source: Picture) -> bytes:
    """Encodes `image`, made by `source.image()`, as `source` was.

    A JPEG keeps its quantisation tables and chroma subsampling, so what was not touched loses next to nothing. A
    WebP that was lossless stays so, other WebP is written at quality 90. TIFF is written with lossless compression.
    """
    header = source.header()
    icc_profile = header.info.get("icc_profile")
    if not isinstance(icc_profile, bytes):  # a TIFF's tag may hold anything
        icc_profile = None
    plain = image.copy() if source.format is PictureFormat.TIFF else image  # Pillow copies XMP and IPTC from a TIFF
    plain.info = {}
    # Pillow lets other threads run while it encodes only into a file descriptor; this one is memory, never disk.
    with os.fdopen(os.memfd_create("picture"), "w+b") as file:
        plain.save(file, source.format.value, icc_profile=icc_profile, **_options(header, source))
        file.seek(0)
        return file.read()


def _options(header: Image.Image, source: Picture) -> Mapping[str, object]:
    match source.format:
        case PictureFormat.JPEG:
            return _jpeg_options(header, source)
        case PictureFormat.PNG:
            return {"compress_level": _PNG_COMPRESS_LEVEL}
        case PictureFormat.WEBP:
            return {"lossless": b"VP8L" in source.content, "exact": True, "quality": _WEBP_QUALITY}
        case PictureFormat.TIFF:
            used = header.info.get("compression")
            return {"compression": used if used in _LOSSLESS_TIFF_COMPRESSIONS else "tiff_adobe_deflate"}
        case PictureFormat.BMP:
            return {}


def _jpeg_options(header: Image.Image, source: Picture) -> Mapping[str, object]:
    assert isinstance(header, JpegImagePlugin.JpegImageFile)  # noqa: S101  (for the type checker)
    sampling = JpegImagePlugin.get_sampling(header)
    numbers = [number for *_, number in header.layer]  # of each component's table
    while numbers[1:] and numbers[-1] == numbers[-2]:
        numbers.pop()  # the encoder gives the components that are left the last table
    tables = [np.reshape(header.quantization[number], (8, 8)) for number in numbers]
    if source.turned:  # the picture's rows may have become columns, and its tables with it
        tables = [np.minimum(table, table.T) for table in tables]
        sampling = _FULL_CHROMA
    return {
        "qtables": [table.flatten().tolist() for table in tables],
        "subsampling": sampling if sampling >= 0 else _FULL_CHROMA,
        "progressive": bool(header.info.get("progressive")),
    }
