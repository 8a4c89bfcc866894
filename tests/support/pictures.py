"""Pictures as they come from the wild and from attackers, made in memory."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
LOSSLESS = {"WEBP": {"lossless": True, "exact": True}}
"""What Pillow has to be told to lose nothing."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ORIENTATION_TAG = 0x0112

_INVERSE_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The image as a file; options are those of Pillow's `save`."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def decode(content: bytes) -> Image.Image:
    """The file as Pillow decodes it, orientation not applied but by TIFF."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def shown(content: bytes) -> Image.Image:
    """The file as it is shown: turned upright."""
    image: Image.Image = decode(content)
    return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION_TAG, 1) != 1 else image


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Every pixel different, in any mode that Pillow converts RGB to, or LA, RGBA and I;16."""
    random = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (height, width), dtype=np.uint16))
    channels = {"LA": 2, "RGBA": 4, "CMYK": 4}.get(mode, 3)
    pixels = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    if mode in ("LA", "RGBA", "CMYK"):
        return Image.frombytes(mode, (width, height), pixels.tobytes())
    return Image.fromarray(pixels).convert(mode)


def smooth(width: int, height: int) -> Image.Image:
    """RGB without noise, as JPEG likes it: gradients of every channel in another direction."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (x / width, y / height, (x + y) / (width + height))
    return Image.fromarray((np.stack(channels, axis=-1) * 255).astype(np.uint8))


def turned(image: Image.Image, orientation: int, file_format: str, **options: object) -> bytes:
    """A file stored turned or mirrored, whose EXIF orientation makes it `image` again."""
    stored = image if orientation == 1 else image.transpose(_INVERSE_TRANSPOSITIONS[orientation])
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return encode(stored, file_format, exif=exif, **options)


def animation(file_format: str, frames: int = 2) -> bytes:
    """An animation (GIF, PNG, WEBP) or a document (TIFF) of small frames, no two alike."""
    first, *others = (Image.new("RGB", (16, 16), (shade * 40 % 256, 0, 255 - shade)) for shade in range(frames))
    return encode(first, file_format, save_all=True, append_images=others)


def multi_picture_jpeg(first: Image.Image, second: Image.Image) -> bytes:
    """An MPO file, as phones write it: a JPEG with another behind it."""
    return encode(first, "MPO", save_all=True, append_images=[second])


# PNG


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: NDArray[np.uint8] | NDArray[np.uint16], *, colour_type: int, bits: int, ancillary: bytes = b""
) -> bytes:
    """A PNG of samples as they stand in the file, H x W or H x W x C, which Pillow cannot write for every type."""
    height, width = samples.shape[:2]
    big_endian = samples.astype(">u2") if bits == 16 else samples
    rows = b"".join(b"\0" + row.tobytes() for row in big_endian)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + ancillary
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def with_png_chunks(content: bytes, chunks: bytes, *, before: bytes = b"IDAT") -> bytes:
    """The PNG with chunks put in before the first of that kind."""
    at = content.index(before) - 4
    return content[:at] + chunks + content[at:]


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk; anything behind the last is yielded as a chunk of kind b""."""
    at = len(PNG_SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length
        yield kind, data
        if kind == b"IEND" and at < len(content):
            yield b"", content[at:]
            return


# JPEG


def with_jpeg_segment(content: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with a segment put in at its start."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + content[2:]


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of each segment up to the start of the scan."""
    at = 2
    while content[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", content, at + 2)
        yield content[at + 1], content[at + 4 : at + 2 + length]
        at += 2 + length


def without_jpeg_segment(content: bytes, marker: int) -> bytes:
    """The JPEG without its first segment of that kind."""
    at = content.index(bytes((0xFF, marker)))
    (length,) = struct.unpack_from(">H", content, at + 2)
    return content[:at] + content[at + 2 + length :]


def with_swapped_tables(content: bytes) -> bytes:
    """The same JPEG with its second quantisation table written before the first, which is as valid."""
    first = content.index(b"\xff\xdb")
    second = content.index(b"\xff\xdb", first + 2)
    end = second + 2 + struct.unpack_from(">H", content, second + 2)[0]
    return content[:first] + content[second:end] + content[first:second] + content[end:]


def with_repeated_scan(content: bytes, times: int) -> bytes:
    """The progressive JPEG with its last scan repeated: a few bytes for the sender, all pixels for the decoder."""
    end = content.rindex(b"\xff\xd9")
    last = content[content.rindex(b"\xff\xda") : end]
    return content[:end] + last * times + content[end:]


# WebP


def with_riff_chunks(content: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """The RIFF file with chunks behind its own."""
    body = content[8:] + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunks(content: bytes) -> Iterator[bytes]:
    """The kind of each chunk."""
    at = 12
    while at < len(content):
        yield content[at : at + 4]
        (length,) = struct.unpack_from("<I", content, at + 4)
        at += 8 + length + length % 2


# TIFF


def tiff_entries(content: bytes) -> Iterator[tuple[int, int]]:
    """Tag and place of each entry of the first directory of a little-endian TIFF."""
    (directory,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, directory)
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        yield struct.unpack_from("<H", content, at)[0], at


def with_tiff_type(content: bytes, tag: int, field_type: int, count: int) -> bytes:
    """The TIFF with the type and number of a tag's values changed."""
    at = dict(tiff_entries(content))[tag]
    return content[: at + 2] + struct.pack("<HI", field_type, count) + content[at + 8 :]


def tiff_with_pages(pages: int) -> bytes:
    """A TIFF of so many pages that all show the same pixels."""
    content = encode(Image.new("L", (4, 4)), "TIFF")
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    directory = content[first : first + 2 + 12 * count]
    step = len(directory) + 4
    start = len(content)
    links = (struct.pack("<I", start + step * (page + 1)) for page in range(pages - 1))
    chain = b"".join(directory + link for link in links) + directory + bytes(4)
    return content[:4] + struct.pack("<I", start) + content[8:] + chain


# Headers that promise more than they hold


def huge_header(file_format: str) -> bytes:
    """A file of a few hundred bytes whose header claims the most that the format can hold, up to 60,000 x 60,000."""
    small = bytearray(encode(Image.new("RGB", (16, 16)), file_format))
    match file_format:
        case "PNG":
            header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
            return PNG_SIGNATURE + png_chunk(b"IHDR", header) + bytes(small[33:])
        case "JPEG":
            frame = small.index(b"\xff\xc0")
            struct.pack_into(">HH", small, frame + 5, 60_000, 60_000)
        case "BMP":
            struct.pack_into("<ii", small, 18, 60_000, 60_000)
        case "TIFF":
            entries = dict(tiff_entries(bytes(small)))
            for tag in (256, 257, 278):  # width, height, rows a strip
                struct.pack_into("<HII", small, entries[tag] + 2, 4, 1, 60_000)
        case "WEBP":
            lossless = encode(Image.new("RGB", (16_383, 1)), "WEBP", lossless=True)
            small = bytearray(lossless)
            bits = 16_382 | 16_382 << 14
            struct.pack_into("<I", small, small.index(b"VP8L") + 9, bits)
    return bytes(small)


# Metadata


def with_metadata(image: Image.Image, file_format: str, marker: bytes, **options: object) -> bytes:
    """A file with `marker` in every kind of metadata that its format knows; BMP has none but what follows its end."""
    text = marker.decode("ascii")
    exif = _exif(text)
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>{text}</a></x:xmpmeta>'.encode()
    match file_format:
        case "JPEG":
            content = encode(image, "JPEG", exif=exif, xmp=xmp, comment=marker, **options)
            photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(marker)) + marker
            for kind, payload in ((0xED, photoshop), (0xEC, b"Ducky" + marker), (0xE5, marker), (0xEF, marker)):
                content = with_jpeg_segment(content, kind, payload)
        case "PNG":
            texts = PngImagePlugin.PngInfo()
            texts.add_text("Author", text)
            texts.add_text("Comment", text, zip=True)
            texts.add_itxt("XML:com.adobe.xmp", xmp.decode())
            content = encode(image, "PNG", exif=exif, pnginfo=texts, **options)
            modified = png_chunk(b"tIME", struct.pack(">HBBBBB", 2024, 2, 29, 12, 30, 59))
            content = with_png_chunks(content, modified + png_chunk(b"prVt", marker))
            content = with_png_chunks(content, png_chunk(b"tEXt", b"Late\0" + marker), before=b"IEND")
        case "WEBP":
            content = encode(image, "WEBP", exif=exif, xmp=xmp, **options)
            content = with_riff_chunks(content, (b"PRVT", marker))
        case "TIFF":
            tags = {270: text, 271: text, 305: text, 306: text, 315: text, 33432: text, 700: xmp, 33723: marker}
            exif_tags = Image.Exif()
            for tag, value in tags.items():
                exif_tags[tag] = value
            if "compression" not in options:  # libtiff, which compresses, refuses a directory of Pillow's
                exif_tags.get_ifd(34665)[37510] = marker
                exif_tags[34665] = exif_tags.get_ifd(34665)
            content = encode(image, "TIFF", exif=exif_tags, **options)
        case _:
            content = encode(image, file_format, **options)
    return content + marker


def _exif(text: str) -> bytes:
    exif = Image.Exif()
    exif[270] = text  # description
    exif[315] = text  # artist
    exif[34665] = {37510: text.encode(), 36867: "2024:02:29 12:30:59"}  # user comment, time taken
    exif[34853] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 27: text.encode()}  # GPS
    return exif.tobytes()
