"""Colour profiles as they come from the wild and from attackers, made in memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from services.chassis.pictures.icc import clean_profile

LCMS_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
"""sRGB as Little CMS writes it, with texts and a profile's usual tags."""
SRGB = clean_profile(LCMS_SRGB, channels="RGB") or b""
"""sRGB as an answer has it."""

D50 = (0.9642, 1.0, 0.8249)
PRIMARIES = {
    "sRGB": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "Display P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "Adobe RGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "ProPhoto RGB": ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)),
}
"""Of each space red, green and blue as XYZ, adapted to D50."""


def profile(  # noqa: PLR0913  (what a header has)
    tags: Mapping[bytes, bytes],
    *,
    space: bytes = b"RGB ",
    version: int = 2,
    device: bytes = b"mntr",
    connection: bytes = b"XYZ ",
    identity: bytes = bytes(16),
    gap: bytes = b"",
) -> bytes:
    """A profile of these tags.

    Args:
        tags: Elements by name, with their types.
        space: Of the device's values.
        version: 2 or 4.
        device: Its class.
        connection: The space of the colours that they become.
        identity: What stands in each field that tells where it comes from, as far as it has room.
        gap: Bytes before each element.
    """
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, element in tags.items():
        table += struct.pack(">4sII", name, at + len(body) + len(gap), len(element))
        body += gap + element + bytes(-(len(gap) + len(element)) % 4)
    header = struct.pack(
        ">I4sBBxx4s4s4s12s4s4sI4s4s8sI12s4s16s28s",
        at + len(body),
        identity[:4],
        version,
        0x40,
        device,
        space,
        connection,
        struct.pack(">6H", 2024, 5, 6, 7, 8, 9),
        b"acsp",
        identity[:4],
        0,
        identity[:4],
        identity[:4],
        bytes(8),
        1,
        xyz(D50)[8:],
        identity[:4],
        identity[:16],
        identity[:16].ljust(28, b"\0"),
    )
    return header + table + body


def xyz(colour: Sequence[float]) -> bytes:
    """An element of one colour."""
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in colour))


def curve(points: Sequence[int] | NDArray[np.integer]) -> bytes:
    """An element of a curve: its points, or one exponent in 256ths."""
    return b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)


def formula(number: int, *parameters: float) -> bytes:
    """An element of a parametric curve."""
    fixed = (round(value * 65536) for value in parameters)
    return b"para" + bytes(4) + struct.pack(f">Hxx{len(parameters)}i", number, *fixed)


SRGB_FORMULA = formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def srgb_points(count: int) -> bytes:
    """SRGB's curve as so many points."""
    x = np.linspace(0, 1, count)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return curve(np.rint(linear * 65535).astype(np.uint16))


def matrix_tags(space: str, tone: bytes) -> dict[bytes, bytes]:
    """The tags of a space with one tone curve for all channels."""
    colours = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, PRIMARIES[space]), strict=True))
    return {**colours, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone), b"wtpt": xyz(D50)}


def ink_nodes(side: int) -> NDArray[np.float64]:
    """L*a*b* as 0..1 at each node of CMYK, of simple inks."""
    cyan, magenta, yellow, key = np.meshgrid(*[np.linspace(0, 1, side)] * 4, indexing="ij")
    red, green, blue = ((1 - ink) * (1 - 0.9 * key) for ink in (cyan, magenta, yellow))
    lightness = (0.3 * red + 0.6 * green + 0.1 * blue) ** 0.5
    return np.stack([lightness, 0.5 + 0.3 * (red - green), 0.5 + 0.3 * (green - blue)], axis=-1)


def table(nodes: NDArray[np.floating], *, sample_bytes: int = 2) -> bytes:
    """An `mft1` or `mft2` element of a grid between curves that change nothing."""
    channels, outputs, side = nodes.ndim - 1, nodes.shape[-1], nodes.shape[0]
    kind, dtype, full = (b"mft1", ">u1", 255) if sample_bytes == 1 else (b"mft2", ">u2", 65535)
    entries = 256 if sample_bytes == 1 else 2
    line = np.rint(np.linspace(0, full, entries)).astype(dtype).tobytes()
    head = struct.pack(">4s4xBBBx9i", kind, channels, outputs, side, 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    sizes = b"" if sample_bytes == 1 else struct.pack(">HH", entries, entries)
    content: bytes = head + sizes + line * channels + np.rint(nodes * full).astype(dtype).tobytes() + line * outputs
    return content


def steps(nodes: NDArray[np.floating]) -> bytes:
    """An `mAB ` element of a grid between curves that change nothing."""
    channels, outputs = nodes.ndim - 1, nodes.shape[-1]
    curves_bytes = 12 * outputs
    samples = np.rint(nodes * 65535).astype(">u2").tobytes()
    grid = bytes(nodes.shape[:-1]).ljust(16, b"\0") + b"\2\0\0\0" + samples
    grid += bytes(-len(grid) % 4)
    at_grid = 32 + curves_bytes
    head = struct.pack(">4s4xBBxx5I", b"mAB ", channels, outputs, 32, 0, 0, at_grid, at_grid + len(grid))
    content: bytes = head + curve([]) * outputs + grid + curve([]) * channels
    return content


def shown(content: bytes, values: Image.Image, *, intent: int = 1) -> NDArray[np.uint8]:
    """Values of a profile as sRGB, H x W x 3."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(content)),
        ImageCms.createProfile("sRGB"),
        values.mode,
        "RGB",
        renderingIntent=ImageCms.Intent(intent),
    )
    return np.asarray(ImageCms.applyTransform(values, transform))
