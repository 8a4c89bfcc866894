"""The file formats that pictures may come in."""

from __future__ import annotations

from enum import Enum


class PictureFormat(Enum):
    """An accepted file format, by Pillow's name for it."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    BMP = "BMP"
    TIFF = "TIFF"
    HEIF = "HEIF"

    @property
    def media_type(self) -> str:
        """For instance image/jpeg."""
        return f"image/{self.value.lower()}"

    @property
    def written(self) -> bool:
        """Whether pictures are also written in it: HEIF is only read."""
        return self is not PictureFormat.HEIF
