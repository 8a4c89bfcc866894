"""How many pieces a TIFF says it has, before a decoder believes it and makes an object of each."""

from __future__ import annotations

import struct

from services.chassis.errors import InvalidPicture

MAX_VALUES = 400_000
"""Of one tag of numbers: 100 megapixels in the smallest tiles there may be, 16 x 16."""
MAX_TAGS = 4096
_BEGINNINGS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
_BIG = (b"II+\0", b"MM\0+")
_BYTES_TYPES = (1, 2, 6, 7)  # these are taken as they are, however many
_DIRECTORIES = 2
"""A second one is looked at to know whether there is one; those after it are not."""


def check_tiff(content: bytes) -> None:
    """Of anything that is no TIFF, or is damaged, this says nothing.

    Raises:
        InvalidPicture: A tag of its first two directories has more values than MAX_VALUES, or one more tags than
            MAX_TAGS.
    """
    order = _BEGINNINGS.get(content[:4])
    if order is None:
        return
    big = content[:4] in _BIG
    offset, count, entry = (
        (f"{order}Q", f"{order}Q", f"{order}HHQ") if big else (f"{order}I", f"{order}H", f"{order}HHI")
    )
    entry_bytes = 20 if big else 12
    try:
        (at,) = struct.unpack_from(offset, content, 8 if big else 4)
        for _ in range(_DIRECTORIES):
            (tags,) = struct.unpack_from(count, content, at)
            if tags > MAX_TAGS:
                raise InvalidPicture(f"the TIFF has {tags} tags, and at most {MAX_TAGS} are read; save it again")
            at += struct.calcsize(count)
            for index in range(tags):
                tag, kind, values = struct.unpack_from(entry, content, at + index * entry_bytes)
                if values > MAX_VALUES and kind not in _BYTES_TYPES:
                    raise InvalidPicture(
                        f"the TIFF has {values} values of tag {tag}, and at most {MAX_VALUES} are read; save it again, "
                        "in larger strips or tiles"
                    )
            (at,) = struct.unpack_from(offset, content, at + tags * entry_bytes)
            if not at:
                return
    except (struct.error, OverflowError):
        return
