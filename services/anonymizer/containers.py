"""Files that Pillow does not write: PNG and TIFF of 16-bit colour, TIFF with a capture time, BMP with alpha."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin

from services.chassis.pixels import Pixels

COMPRESS_LEVEL = 3  # level 6 makes a file a few per cent smaller in three times the time

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6}
_PNG_FILTER_UP = 2
_TIFF_PHOTOMETRIC = {"L": 1, "LA": 1, "RGB": 2, "RGBA": 2, "CMYK": 5}
_TIFF_DEFLATE, _TIFF_DIFFERENCES, _TIFF_STRAIGHT_ALPHA = 8, 2, 2
_BMP_HEADER_BYTES, _BMP_FILE_HEADER_BYTES, _BMP_BITFIELDS = 108, 14, 3


def png(pixels: Pixels, *, icc_profile: bytes | None, exif: bytes) -> bytes:
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
            _png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)) if icc_profile else b"",
            _png_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b"",
            _png_chunk(b"IDAT", zlib.compress(filtered.data, COMPRESS_LEVEL)),
            _png_chunk(b"IEND", b""),
        )
    )


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def tiff(pixels: Pixels, *, icc_profile: bytes | None, exif: bytes) -> bytes:
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
    if icc_profile:
        directory[TiffImagePlugin.ICCPROFILE] = icc_profile
    if exif:
        kept = Image.Exif()
        kept.load(exif)
        directory[TiffImagePlugin.EXIFIFD] = kept.get_ifd(ExifTags.IFD.Exif)
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()


def bmp(pixels: Pixels) -> bytes:
    """RGBA of 8 bits, uncompressed.

    Source: Microsoft's BITMAPV4HEADER, whose masks tell that the fourth channel is alpha.
    """
    data: NDArray[np.uint8 | np.uint16] = pixels.samples[..., [2, 1, 0, 3]]
    start = _BMP_FILE_HEADER_BYTES + _BMP_HEADER_BYTES
    file_header = struct.pack("<2sIII", b"BM", start + data.nbytes, 0, start)
    top_down = -pixels.height_px
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    sizes = (_BMP_HEADER_BYTES, pixels.width_px, top_down, 1, 32, _BMP_BITFIELDS, data.nbytes, 0, 0, 0, 0)
    header = struct.pack("<IiiHHIIiiII4I4s48x", *sizes, *masks, b"BGRs")
    return file_header + header + data.tobytes()
