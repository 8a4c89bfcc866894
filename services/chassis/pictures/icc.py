"""Colour profiles: read strictly, and rewritten with nothing but what colour needs.

A profile can hold anything: serial numbers, texts, a picture in a private tag, in a gap or behind its end. So none of
its bytes is kept as it came. What says how device values become colours is read into values and written from them in
one fixed way, under a header that tells nothing of where it comes from.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from services.chassis.pictures.icc_elements import (
    Element,
    MalformedProfileError,
    read_code_points,
    read_curve,
    read_matrix,
    read_pipeline,
    read_table,
    read_xyz,
)

_HEADER_BYTES, _TAG_BYTES = 128, 12
_MOST_TAGS = 128
_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_COLOURS_OF_GREY = {b"GRAY": b"RGB "}
_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
_INPUT_CLASS = (
    b"scnr"  # what is written with a table: of the other classes, tables back from colours would be asked for
)
_D50 = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
_VERSIONS = {2: 0x02400000, 4: 0x04400000}
_LARGEST_INTENT = 3
_DATE = (2000, 1, 1, 0, 0, 0)
_DESCRIPTION, _COPYRIGHT = "Colours of the picture", "None"

Reader = Callable[[bytes], Element]


def _read_curve(data: bytes) -> Element:
    return read_curve(data)[0]


def _read_steps(data: bytes) -> Element:
    return read_pipeline(data) if data[:4] == b"mAB " else read_table(data)


_WHITE: Mapping[bytes, Reader] = {b"wtpt": read_xyz}
_ADAPTED: Mapping[bytes, Reader] = {b"chad": read_matrix}
_MATRIX: Mapping[bytes, Reader] = {
    **dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ"), read_xyz),
    **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _read_curve),
}
_GREY: Mapping[bytes, Reader] = {b"kTRC": _read_curve}
_TABLES: Mapping[bytes, Reader] = dict.fromkeys((b"A2B0", b"A2B1"), _read_steps)
_CODE_POINTS: Mapping[bytes, Reader] = {b"cicp": read_code_points}


def clean_profile(profile: object, *, channels: str) -> bytes | None:
    """The profile rebuilt from what says how the picture's values become colours; None where it does not say that.

    Of RGB the primaries and the three curves are kept (a table as well would say the same, and is left out), of grey
    its curve, of CMYK and of RGB without primaries the tables from inks to colours; beside them white, adaptation to
    it, and the code points of H.273. Grey pixels with a profile of RGB get its curve. Curves have to rise and get
    256 points at most; tables have to hold a device's colours. All else is gone. Cleaning what was cleaned changes
    nothing. Never raises.

    Args:
        profile: As it lies in the file; what is no bytes is no profile.
        channels: Of the pixels it is for: L, LA, RGB, RGBA or CMYK.
    """
    if not isinstance(profile, bytes):  # a TIFF's tag may hold anything
        return None
    try:
        return _rebuilt(profile, _SPACES[channels.removesuffix("A")])
    except (MalformedProfileError, struct.error, ValueError, IndexError, KeyError, OverflowError):
        return None


def _rebuilt(profile: bytes, space: bytes) -> bytes:
    size, version, device, of_space, connection = struct.unpack_from(">I4xB3x4s4s4s", profile)
    (intent,) = struct.unpack_from(">I", profile, 64)
    sound = size <= len(profile) and profile[36:40] == b"acsp" and version in _VERSIONS and device in _CLASSES
    if (
        not sound
        or of_space not in (space, _COLOURS_OF_GREY.get(space))
        or connection not in (b"XYZ ", b"Lab ")
        or intent > _LARGEST_INTENT
    ):
        raise MalformedProfileError("no profile for these pixels")
    tags = _tags(profile[:size])
    kept, by_table = _grey_of(tags, connection) if of_space != space else _kept(tags, space, connection)
    kept |= _read(tags, _WHITE)
    if b"chad" in tags:
        kept |= _read(tags, _ADAPTED)
    if b"cicp" in tags and space == b"RGB ":
        kept |= _read(tags, _CODE_POINTS)
    header = struct.pack(
        ">8xI4s4s4s6H4s24xI12s48x",
        _VERSIONS[version],
        _INPUT_CLASS if by_table else device,
        space,
        connection,
        *_DATE,
        b"acsp",
        intent,
        _D50,
    )
    return _written(header, _texts(version) | {name: element.to_bytes() for name, element in kept.items()})


def _tags(profile: bytes) -> Mapping[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MOST_TAGS:
        raise MalformedProfileError("too many tags")
    places = [struct.unpack_from(">4sII", profile, _HEADER_BYTES + 4 + index * _TAG_BYTES) for index in range(count)]
    return {name: profile[start : start + size] for name, start, size in places if start + size <= len(profile)}


def _kept(tags: Mapping[bytes, bytes], space: bytes, connection: bytes) -> tuple[dict[bytes, Element], bool]:
    """The elements that say how this space's values become colours, and whether they do so by tables."""
    if space == b"GRAY":
        return _read(tags, _GREY), False
    if space == b"RGB " and connection == b"XYZ " and _MATRIX.keys() <= tags.keys():
        return _read(tags, _MATRIX), False
    by_table = {name: reader for name, reader in _TABLES.items() if name in tags}
    if not by_table:
        raise MalformedProfileError("it does not define how values become colours")
    return _read(tags, by_table), True


def _grey_of(tags: Mapping[bytes, bytes], connection: bytes) -> tuple[dict[bytes, Element], bool]:
    """Of a profile of RGB that grey pixels have, what it says of grey."""
    curves = {name: element for name, element in _read(tags, _MATRIX).items() if name.endswith(b"TRC")}
    if connection != b"XYZ " or len(set(curves.values())) != 1:
        raise MalformedProfileError("its grey is not neutral")
    return {b"kTRC": curves[b"gTRC"]}, False


def _read(tags: Mapping[bytes, bytes], readers: Mapping[bytes, Reader]) -> dict[bytes, Element]:
    return {name: reader(tags[name]) for name, reader in readers.items()}


def _texts(version: int) -> dict[bytes, bytes]:
    """The two texts that a profile has to have; they say nothing of this one."""
    if version == 4:  # noqa: PLR2004
        return {b"desc": _localised(_DESCRIPTION), b"cprt": _localised(_COPYRIGHT)}
    ascii_description = _DESCRIPTION.encode() + b"\0"
    description = b"desc" + struct.pack(">4xI", len(ascii_description)) + ascii_description + bytes(78)
    return {b"desc": description, b"cprt": b"text" + bytes(4) + _COPYRIGHT.encode() + b"\0"}


def _localised(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(encoded), 28) + encoded


def _written(header: bytes, elements: Mapping[bytes, bytes]) -> bytes:
    """One file of them; equal elements are written once."""
    places: dict[bytes, int] = {}
    at = _HEADER_BYTES + 4 + len(elements) * _TAG_BYTES
    table = struct.pack(">I", len(elements))
    for name, element in elements.items():
        if element not in places:
            places[element] = at
            at += len(element) + -len(element) % 4
        table += struct.pack(">4sII", name, places[element], len(element))
    body = b"".join(element + bytes(-len(element) % 4) for element in places)
    return struct.pack(">I", at) + header[4:] + table + body
