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

    @property
    def media_type(self) -> str:
        """For instance image/jpeg."""
        return f"image/{self.value.lower()}"
