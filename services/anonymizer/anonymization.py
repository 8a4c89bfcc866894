"""The anonymizer's work on one picture: decode, hide, encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.anonymizer.encoding import encode
from services.anonymizer.redaction import Redaction, redact
from services.anonymizer.regions import Region
from services.chassis.errors import TooLarge
from services.chassis.picture import open_picture
from services.chassis.settings import PictureLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymized:
    """A picture with its regions hidden."""

    content: bytes
    """The encoded file."""
    media_type: str
    width_px: int
    height_px: int
    hidden_regions: int


def anonymize(content: bytes, regions: Sequence[Region], redaction: Redaction, *, limits: PictureLimits) -> Anonymized:
    """Hides regions of an encoded picture. Blocks; safe to call from several threads.

    Raises:
        InvalidPicture: The content is no picture that can be treated (also UnsupportedFormat).
        TooLarge: Too many bytes or pixels, of the picture or of what would be answered.
        InvalidRequest: A region is absurdly far outside the picture.
    """
    picture = open_picture(content, limits)
    image = picture.image()
    hidden_regions = redact(image, regions, redaction)
    encoded = encode(image, picture)
    if len(encoded) > limits.max_answer_bytes:
        raise TooLarge(
            f"the hidden picture would have {len(encoded)} bytes; at most {limits.max_answer_bytes} are answered: "
            "save it as JPEG, or with fewer pixels, and send that"
        )
    return Anonymized(
        content=encoded,
        media_type=picture.format.media_type,
        width_px=picture.width_px,
        height_px=picture.height_px,
        hidden_regions=hidden_regions,
    )
