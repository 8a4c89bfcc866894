"""The little EXIF that an answer may keep: how it is turned, its density, and where a site asks, when it was taken."""

from __future__ import annotations

import re
from collections.abc import Mapping

from PIL import ExifTags, Image

from services.anonymizer.appearance import Density
from services.chassis.pictures.picture import Picture

# Only values that are nothing but a time are kept: a text field can say anything. Source: Exif 2.32, table 8.
_TIME_TAGS = {
    ExifTags.Base.DateTimeOriginal: re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", re.ASCII),
    ExifTags.Base.SubsecTimeOriginal: re.compile(r"\d{1,9}", re.ASCII),
    ExifTags.Base.OffsetTimeOriginal: re.compile(r"[+-]\d\d:\d\d", re.ASCII),
}
_INCH = 2


def kept_exif(
    picture: Picture, *, keep_capture_time: bool, orientation: int | None, density: Density | None = None
) -> bytes:
    """A minimal EXIF block, beginning with the marker that it has in a JPEG; empty where there is nothing to keep.

    Never raises: what cannot be read is not kept.

    Args:
        picture: Where the capture time is taken from.
        keep_capture_time: Whether it is kept, to its subseconds and time zone.
        orientation: To be written, 1 to 8, where the stored pixels stay turned. None = they are upright.
        density: To be written, in files that tell it nowhere else.
    """
    kept = Image.Exif()
    if orientation is not None:
        kept[ExifTags.Base.Orientation] = orientation
    if density is not None:
        kept[ExifTags.Base.XResolution], kept[ExifTags.Base.YResolution] = density
        kept[ExifTags.Base.ResolutionUnit] = _INCH
    times = _capture_time(picture) if keep_capture_time else {}
    if times:
        kept[ExifTags.IFD.Exif] = times
    return kept.tobytes() if kept else b""


def _capture_time(picture: Picture) -> Mapping[int, str]:
    try:
        found = picture.exif().get_ifd(ExifTags.IFD.Exif)
        values = {tag: str(found.get(tag, "")) for tag in _TIME_TAGS}
    except Exception:  # noqa: BLE001  (a damaged block tells no time)
        return {}
    times = {int(tag): values[tag] for tag, form in _TIME_TAGS.items() if form.fullmatch(values[tag])}
    return times if ExifTags.Base.DateTimeOriginal in times else {}
