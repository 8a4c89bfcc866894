"""Files that Pillow does not write: 16-bit colour as PNG and TIFF, TIFF with a time, BMP with alpha or a profile."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from services.anonymizer.appearance import Appearance
from services.chassis.pictures.pixels import Pixels

COMPRESS_LEVEL = 3  # level 6 makes a file a few per cent smaller in three times the time

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
_PNG_FILTER_UP = 2
_TIFF_PHOTOMETRIC = {"L": 1, "LA": 1, "RGB": 2, "RGBA": 2, "CMYK": 5}
_TIFF_DEFLATE, _TIFF_DIFFERENCES, _TIFF_STRAIGHT_ALPHA, _TIFF_INCH = 8, 2, 2, 2
_BMP_HEADER_BYTES, _BMP_FILE_HEADER_BYTES, _BMP_PLAIN, _BMP_BITFIELDS = 124, 14, 0, 3
_BMP_PICTURES = 4  # the intent of photographs: perceptual
_METRES_AN_INCH = 0.0254


def png(pixels: Pixels, shown: Appearance, *, exif: bytes) -> bytes:
    """16 bits a channel, of L, LA, RGB or RGBA.

    Source: PNG specification (third edition), chapters 5, 9 and 11.
    """
    header = struct.pack(">IIBBBBB", pixels.width_px, pixels.height_px, 16, _PNG_COLOUR_TYPES[pixels.channels], 0, 0, 0)
    rows = pixels.samples.astype(">u2").reshape(pixels.height_px, -1).view(np.uint8)
    filtered = np.empty((pixels.height_px, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _PNG_FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return b"".join(
        (
            _PNG_SIGNATURE,
            _png_chunk(b"IHDR", header),
            *(_png_chunk(kind, data) for kind, data in _png_appearance(shown)),
            _png_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b"",
            _png_chunk(b"IDAT", zlib.compress(filtered.data, COMPRESS_LEVEL)),
            _png_chunk(b"IEND", b""),
        )
    )


def _png_appearance(shown: Appearance) -> Iterator[tuple[bytes, bytes]]:
    for kind, data in shown.png_chunks.items():
        if not (shown.icc_profile and kind == b"sRGB"):  # of the two a file may have one
            yield kind, data
    if shown.icc_profile:
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(shown.icc_profile)
    if shown.density:
        across, down = (_a_metre(dpi) for dpi in shown.density)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)


def _a_metre(dpi: float) -> int:
    return round(dpi / _METRES_AN_INCH)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def tiff(pixels: Pixels, shown: Appearance, *, exif: bytes) -> bytes:
    """8 or 16 bits a channel, deflated; of EXIF the capture time.

    Source: TIFF 6.0, sections 8, 14 (differences) and 18 (alpha); Adobe Photoshop TIFF Technical Notes (deflate).
    """
    height, width, channels = pixels.samples.shape
    differences = pixels.samples.copy()
    differences[:, 1:] -= pixels.samples[:, :-1]
    strip = zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).data, COMPRESS_LEVEL)
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    directory[TiffImagePlugin.IMAGEWIDTH] = width
    directory[TiffImagePlugin.IMAGELENGTH] = directory[TiffImagePlugin.ROWSPERSTRIP] = height
    directory[TiffImagePlugin.BITSPERSAMPLE] = (pixels.samples.itemsize * 8,) * channels
    directory[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    directory[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = _TIFF_PHOTOMETRIC[pixels.channels]
    directory[TiffImagePlugin.COMPRESSION] = _TIFF_DEFLATE
    directory[TiffImagePlugin.PREDICTOR] = _TIFF_DIFFERENCES
    directory[TiffImagePlugin.STRIPOFFSETS] = 0  # counted from the directory's end, until it is saved
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = len(strip)
    if "A" in pixels.channels:
        directory[TiffImagePlugin.EXTRASAMPLES] = _TIFF_STRAIGHT_ALPHA
    if shown.icc_profile:
        directory[TiffImagePlugin.ICCPROFILE] = shown.icc_profile
    if shown.density:
        directory[TiffImagePlugin.X_RESOLUTION], directory[TiffImagePlugin.Y_RESOLUTION] = shown.density
        directory[TiffImagePlugin.RESOLUTION_UNIT] = _TIFF_INCH
    if exif:
        kept = Image.Exif()
        kept.load(exif)
        directory[TiffImagePlugin.EXIFIFD] = kept.get_ifd(ExifTags.IFD.Exif)
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()


def bmp(pixels: Pixels, shown: Appearance) -> bytes:
    """L, RGB or RGBA of 8 bits as colours, uncompressed.

    Source: Microsoft's BITMAPV5HEADER, whose masks tell that the fourth channel is alpha.
    """
    profile = shown.icc_profile or b""
    colours = pixels.samples[..., [2, 1, 0]] if pixels.channels != "L" else pixels.samples.repeat(3, axis=2)
    with_alpha = pixels.channels == "RGBA"
    data: NDArray[np.uint8 | np.uint16] = colours.reshape(pixels.height_px, -1)
    if with_alpha:
        data = np.concatenate([colours, pixels.samples[..., 3:]], axis=2)
    else:
        data = np.pad(data, ((0, 0), (0, -data.shape[1] % 4)))
    start = _BMP_FILE_HEADER_BYTES + _BMP_HEADER_BYTES
    file_header = struct.pack("<2sIII", b"BM", start + data.nbytes + len(profile), 0, start)
    top_down = -pixels.height_px
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if with_alpha else (0, 0, 0, 0)
    kind = (32, _BMP_BITFIELDS) if with_alpha else (24, _BMP_PLAIN)
    density = [_a_metre(dpi) for dpi in shown.density or (0.0, 0.0)]
    sizes = (_BMP_HEADER_BYTES, pixels.width_px, top_down, 1, *kind, data.nbytes, *density, 0, 0)
    header = struct.pack("<IiiHHIIiiII4I", *sizes, *masks)
    header += (b"DEBM" if profile else b"BGRs") + bytes(48)
    header += struct.pack("<4I", _BMP_PICTURES, _BMP_HEADER_BYTES + data.nbytes if profile else 0, len(profile), 0)
    return file_header + header + data.tobytes() + profile
