"""How much hiding one call may ask for, and the memory that it takes beside the picture; known before it is begun."""

from __future__ import annotations

from collections.abc import Sequence

from services.anonymizer.redaction import Redaction, context_px
from services.anonymizer.regions import Extent
from services.chassis.errors import InvalidRequest, TooLarge

MAX_REGIONS = 65_536
"""Three times what a detector answers at most, as a check may hide what was found, what lies beneath, and around it."""
MAX_LINES = 16_000_000
"""Rows and columns of all regions together: 20,000 faces that fill 100 megapixels, with the largest margin."""
MAX_LAYERS = 64
"""So many times over may the regions, each with what is drawn from around it, cover the picture."""
ALWAYS_PX = 16_000_000
"""So many pixels may be covered in a small picture too."""

_BYTES_A_LINE = 48
"""Where a region begins and ends in each row: upright, as stored, in its frame, and grown by what its encoder mixes."""
_BYTES_A_REGION = 4096
_BYTES_A_HIDDEN_PIXEL = 4
"""Of a JPEG: the coefficients of the blocks that are changed."""


def check_count(regions: int) -> None:
    """Of so many regions.

    Raises:
        InvalidRequest: More than MAX_REGIONS.
    """
    if regions > MAX_REGIONS:
        raise InvalidRequest(f"regions: at most {MAX_REGIONS} per picture are hidden, not {regions}")


def check_work(parts: Sequence[Extent], redaction: Redaction, *, spread_px: int, width_px: int, height_px: int) -> None:
    """Of regions in a picture of that size, whose encoder has carried a pixel so far.

    Raises:
        TooLarge: They have more rows and columns than MAX_LINES, or cover the picture more than MAX_LAYERS times.
    """
    if _lines(parts) > MAX_LINES:
        raise TooLarge(
            f"the {len(parts)} regions have {_lines(parts)} rows and columns together, and at most {MAX_LINES} are "
            "hidden: leave out what lies in others, or send the picture smaller"
        )
    covered_px = sum(_drawn_px(part, redaction, spread_px, width_px, height_px) for part in parts)
    if covered_px > max(ALWAYS_PX, MAX_LAYERS * width_px * height_px):
        raise TooLarge(
            f"the {len(parts)} regions and their surroundings cover the picture {covered_px // (width_px * height_px)} "
            f"times over, and at most {MAX_LAYERS} times are drawn: leave out what lies in others"
        )


def region_bytes(parts: Sequence[Extent], *, width_px: int, height_px: int) -> int:
    """What these regions take while they are hidden, beside what one small region does."""
    covered_px = sum((part.right - part.left) * (part.bottom - part.top) for part in parts)
    kept_bytes = _BYTES_A_HIDDEN_PIXEL * min(covered_px, width_px * height_px)
    return _BYTES_A_LINE * _lines(parts) + _BYTES_A_REGION * len(parts) + kept_bytes


def _lines(parts: Sequence[Extent]) -> int:
    return sum(part.right - part.left + part.bottom - part.top for part in parts)


def _drawn_px(part: Extent, redaction: Redaction, spread_px: int, width_px: int, height_px: int) -> int:
    context = context_px(redaction.style, part.face_px, spread_px)
    across = min(width_px, part.right + context) - max(0, part.left - context)
    down = min(height_px, part.bottom + context) - max(0, part.top - context)
    return across * down
