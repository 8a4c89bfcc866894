"""The pages of a TIFF file: which of them are pictures of their own.

Source: TIFF 6.0, section 2 (directories), section 8 (SubfileType); Adobe PageMaker 6.0 TIFF Technical Notes (SubIFDs).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST_PAGES = 64
_MOST_ENTRIES = 512
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_REDUCED_OR_MASK = 1 | 4
_OLD_REDUCED = 2
_SHORT, _LONG = 3, 4


def others_are_thumbnails(content: bytes) -> bool:
    """Whether a TIFF's first page is a picture, and all others are smaller versions or masks of another one.

    False as well where its directories cannot be followed.
    """
    try:
        whole = list(_whole_pages(content))
    except struct.error:
        return False
    return 1 < len(whole) <= _MOST_PAGES and whole[0] and not any(whole[1:])


def _whole_pages(content: bytes) -> Iterator[bool]:
    """For each page whether it is a picture of its own; ends after one page more than may be there."""
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43  # noqa: PLR2004  (BigTIFF's version)
    count_form, entry_form, offset_form = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (at,) = struct.unpack_from(order + offset_form, content, 8 if big else 4)
    entry_bytes = struct.calcsize(order + entry_form)
    for _ in range(_MOST_PAGES + 1):
        if not at:
            return
        (count,) = struct.unpack_from(order + count_form, content, at)
        entries = at + struct.calcsize(order + count_form)
        whole = True
        for index in range(min(count, _MOST_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(order + entry_form, content, entries + index * entry_bytes)
            if kind in (_SHORT, _LONG) and tag in (_NEW_SUBFILE_TYPE, _SUBFILE_TYPE):
                (number,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), value)
                whole &= number != _OLD_REDUCED if tag == _SUBFILE_TYPE else not number & _REDUCED_OR_MASK
        yield whole
        (at,) = struct.unpack_from(order + offset_form, content, entries + count * entry_bytes)
