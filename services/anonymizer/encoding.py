"""Writes a picture back in the format it came in, or another; of its metadata only colours and density stay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin

from services.anonymizer import containers
from services.anonymizer.appearance import Appearance, appearance
from services.anonymizer.metadata import kept_exif
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.picture import Picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.pictures.pixels import Pixels
from services.chassis.pictures.srgb import to_srgb

_LOSSLESS_TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits")
_WEBP_QUALITY = 90
_JPEG_QUALITY = 92  # of what did not come as JPEG
_FULL_CHROMA = 0
_MAX_SIDE_PX = {PictureFormat.JPEG: 65_500, PictureFormat.WEBP: 16_383}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the answer is to be."""

    format: PictureFormat | None = None
    """None = as the picture came; of HEIF, which is only read, JPEG, or PNG where it has an alpha channel."""
    keep_capture_time: bool = False
    """Whether it tells when the picture was taken, if the picture does."""


AS_IT_CAME = Output()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture's file."""

    content: bytes
    format: PictureFormat
    notice: str
    """What was lost on the way, for people; empty where it was nothing."""


def encode(pixels: Pixels, source: Picture, output: Output) -> Encoded:
    """Encodes `pixels`, which were decoded from `source`, as `source` was encoded.

    A JPEG keeps its quantisation tables and chroma subsampling, so what was not touched loses next to nothing. A
    WebP that was lossless stays so, other WebP is written at quality 90. TIFF is written with lossless compression.
    What is no JPEG, or a lossless one, and becomes one is written at quality 92 without chroma subsampling.

    Raises:
        InvalidRequest: The format asked for cannot hold the picture.
    """
    target = output.format or _own_format(pixels, source)
    _check_holds(target, pixels)
    header, shown = source.header(), appearance(source, target)
    icc_profile = shown.icc_profile
    exif = kept_exif(
        source,
        keep_capture_time=output.keep_capture_time,
        orientation=None,
        density=shown.density if target is PictureFormat.WEBP else None,  # which tells it nowhere else
    )
    deep_colour = pixels.samples.dtype == np.uint16 and pixels.channels != "L"
    notice = ""
    if target is PictureFormat.PNG and deep_colour:
        content = containers.png(pixels, shown, exif=exif)
    elif target is PictureFormat.TIFF and (deep_colour or exif):
        content = containers.tiff(pixels, shown, exif=exif)
    elif target is PictureFormat.BMP and (pixels.channels == "RGBA" or icc_profile):
        content = containers.bmp(pixels, shown)
    else:
        image = _image(pixels, shallow=target not in (PictureFormat.PNG, PictureFormat.TIFF))
        if target is PictureFormat.JPEG and "A" in pixels.channels:
            image, notice = _on_white(image), "JPEG has no transparency: transparent pixels are now white."
        if target is PictureFormat.WEBP and "L" in pixels.channels and not _is_of_rgb(icc_profile):
            image, icc_profile = _in_srgb(image, icc_profile), None  # WebP has colours alone
        options = {"icc_profile": icc_profile, "exif": exif, **_options(target, header, source)}
        if shown.density:
            options["dpi"] = shown.density
        if shown.png_chunks:
            options["pnginfo"] = _png_info(shown)
        content = _saved(image, target, options)
    if not output.format and target is not source.format:
        notice = f"{source.format.name} is read but not written: this is {target.name}."
    return Encoded(content=content, format=target, notice=notice)


def _is_of_rgb(icc_profile: bytes | None) -> bool:
    return icc_profile is not None and icc_profile[16:20] == b"RGB "


def _in_srgb(grey: Image.Image, icc_profile: bytes | None) -> Image.Image:
    if icc_profile is None:
        return grey
    colours = to_srgb(icc_profile).image(grey.convert("L"))
    if grey.mode == "LA":
        colours.putalpha(grey.getchannel("A"))
    return colours


def _png_info(shown: Appearance) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for kind, data in shown.png_chunks.items():
        info.add(kind, data)
    return info


def _own_format(pixels: Pixels, source: Picture) -> PictureFormat:
    if source.format.written:
        return source.format
    return PictureFormat.PNG if "A" in pixels.channels else PictureFormat.JPEG


def _check_holds(target: PictureFormat, pixels: Pixels) -> None:
    most_px = _MAX_SIDE_PX.get(target)
    if most_px and max(pixels.width_px, pixels.height_px) > most_px:
        raise InvalidRequest(f"{target.name} has at most {most_px} pixels a side; ask for PNG")
    if pixels.channels == "CMYK" and target in (PictureFormat.PNG, PictureFormat.WEBP):
        raise InvalidRequest(f"{target.name} cannot hold the picture's CMYK colours; ask for no format, or for JPEG")


def _image(pixels: Pixels, *, shallow: bool) -> Image.Image:
    samples = pixels.samples
    mode = pixels.channels
    if samples.dtype == np.uint16:
        if shallow:
            samples = (samples >> 8).astype(np.uint8)
        else:
            mode = "I;16"
    return Image.frombuffer(mode, (pixels.width_px, pixels.height_px), samples, "raw", mode, 0, 1)


def _on_white(image: Image.Image) -> Image.Image:
    opaque = image.convert(image.mode.removesuffix("A"))
    white = Image.new(opaque.mode, opaque.size, "white")
    white.paste(opaque, mask=image.getchannel("A"))
    return white


def _saved(image: Image.Image, target: PictureFormat, options: Mapping[str, object]) -> bytes:
    # Pillow lets other threads run while it encodes only into a file descriptor; this one is memory, never disk.
    with os.fdopen(os.memfd_create("picture"), "w+b") as file:
        image.save(file, target.value, **options)
        file.seek(0)
        return file.read()


def _options(target: PictureFormat, header: Image.Image, source: Picture) -> Mapping[str, object]:
    match target:
        case PictureFormat.JPEG if isinstance(header, JpegImagePlugin.JpegImageFile) and not is_lossless(header):
            return _jpeg_options(header, turned=source.turned)
        case PictureFormat.JPEG:
            return {"quality": _JPEG_QUALITY, "subsampling": _FULL_CHROMA}
        case PictureFormat.PNG:
            return {"compress_level": containers.COMPRESS_LEVEL}
        case PictureFormat.WEBP:
            lossless = source.format is PictureFormat.WEBP and b"VP8L" in source.content
            return {"lossless": lossless, "exact": True, "quality": _WEBP_QUALITY}
        case PictureFormat.TIFF:
            used = header.info.get("compression")
            return {"compression": used if used in _LOSSLESS_TIFF_COMPRESSIONS else "tiff_adobe_deflate"}
        case _:
            return {}


def is_lossless(header: JpegImagePlugin.JpegImageFile) -> bool:
    """Whether an opened JPEG is coded without loss: it has no quantisation tables then, or none that it would need."""
    return any(number not in header.quantization for *_, number in header.layer)


def _jpeg_options(header: JpegImagePlugin.JpegImageFile, *, turned: bool) -> Mapping[str, object]:
    sampling = JpegImagePlugin.get_sampling(header)
    numbers = [number for *_, number in header.layer]  # of each component's table
    while numbers[1:] and numbers[-1] == numbers[-2]:
        numbers.pop()  # the encoder gives the components that are left the last table
    tables = [np.reshape(header.quantization[number], (8, 8)) for number in numbers]
    if turned:  # the picture's rows may have become columns, and its tables with it
        tables = [np.minimum(table, table.T) for table in tables]
        sampling = _FULL_CHROMA
    return {
        "qtables": [table.flatten().tolist() for table in tables],
        "subsampling": sampling if sampling >= 0 else _FULL_CHROMA,
        "progressive": bool(header.info.get("progressive")),
    }
