"""The words that a request chooses by, as enumerations that import nothing else: every command's help needs them."""

from __future__ import annotations

from enum import StrEnum


class RecallName(StrEnum):
    """How hard to look for faces."""

    FAST = "fast"
    BALANCED = "balanced"
    MAX = "max"


class StyleName(StrEnum):
    """What a hidden face looks like."""

    MOSAIC = "mosaic"
    BLUR = "blur"
    SOLID = "solid"


class ShapeName(StrEnum):
    """The outline of what is hidden."""

    ELLIPSE = "ellipse"
    BOX = "box"


class FormatName(StrEnum):
    """The file format of an answered picture."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @classmethod
    def _missing_(cls, value: object) -> FormatName | None:
        """Takes `jpg` for `jpeg`, and capitals, as in names of files."""
        word = str(value).lower()
        return cls.JPEG if word == "jpg" else next((each for each in cls if each.value == word), None)
