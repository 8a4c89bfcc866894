"""The anonymizer's work on one picture: decode, hide, encode."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.anonymizer.bounds import check_work, region_bytes
from services.anonymizer.encoding import AS_IT_CAME, Encoded, Output, encode
from services.anonymizer.jpeg.redaction import redact_jpeg
from services.anonymizer.jpeg.turbojpeg import UnsupportedJpegError, load_turbojpeg
from services.anonymizer.losses import losses
from services.anonymizer.redaction import Redaction, cut_all, extents, redact
from services.anonymizer.regions import Cutout, Region
from services.anonymizer.spread import spread_px
from services.chassis.errors import FacetError, TooLarge
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from services.chassis.process.sizes import limit_text, size_text

WEAK = "Averages of a face still carry identity: faces hidden with this style may be recognised. Leave out allow_weak."
RE_ENCODED = "This JPEG could not be changed in its hidden blocks alone: the whole picture was re-encoded."
_logger = logging.getLogger(__name__)
_VIDEO_CODED = {PictureFormat.WEBP, PictureFormat.HEIF}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymized:
    """A picture with its regions hidden."""

    content: bytes
    """The encoded file."""
    media_type: str
    width_px: int
    height_px: int
    hidden: Sequence[Box]
    """One a region that touches the picture, in their order: the part of its box within the picture."""
    notice: str
    """What to know of it, for people; empty where there is nothing to say."""

    @property
    def hidden_regions(self) -> int:
        """How many regions touch the picture."""
        return len(self.hidden)


def anonymize(
    content: bytes,
    regions: Sequence[Region],
    redaction: Redaction,
    *,
    limits: PictureLimits,
    output: Output = AS_IT_CAME,
) -> Anonymized:
    """Hides regions of an encoded picture. Blocks, also while memory is taken; safe to call from several threads.

    Args:
        content: The encoded picture.
        regions: What to hide.
        redaction: How.
        limits: Which pictures are refused, and what those in work may take together.
        output: What to answer.

    Raises:
        InvalidPicture: The content is no picture that can be processed (also UnsupportedFormat).
        TooLarge: Too many bytes or pixels, of the picture or of what would be answered, or regions that cover it too
            many times over.
        InvalidRequest: A region is absurdly far outside the picture, or the format asked for cannot hold it.
    """
    picture = open_picture(content, limits)
    size = {"width_px": picture.width_px, "height_px": picture.height_px}
    touching = extents(regions, redaction, **size)
    parts = list(dict.fromkeys(touching))  # what is asked for twice is hidden once
    check_work(parts, redaction, spread_px=spread_px(picture), **size)
    notices = [WEAK] if redaction.style.weak else []
    with limits.memory.hold(_needed_bytes(picture, output) + region_bytes(parts, **size)):
        cutouts = cut_all(parts, redaction)
        encoded = _in_coefficients(picture, cutouts, redaction, output)
        if encoded is None:
            encoded = _in_pixels(picture, cutouts, redaction, output)
            if picture.format is encoded.format is PictureFormat.JPEG:
                notices.append(RE_ENCODED)
    if encoded.notice:
        notices.append(encoded.notice)
    notices += losses(picture, encoded)
    size_bytes = len(encoded.content)
    if size_bytes > limits.max_answer_bytes:
        raise TooLarge(
            f"the hidden picture would have {size_text(size_bytes)}; at most {limit_text(limits.max_answer_bytes)} are "
            "allowed: save it as JPEG, or with fewer pixels, and send that"
        )
    return Anonymized(
        content=encoded.content,
        media_type=encoded.format.media_type,
        width_px=picture.width_px,
        height_px=picture.height_px,
        hidden=[part.face for part in touching],
        notice=" ".join(notices),
    )


def _in_coefficients(
    picture: Picture, cutouts: Sequence[Cutout], redaction: Redaction, output: Output
) -> Encoded | None:
    """The hidden JPEG with all else unchanged; None where that is not possible."""
    turbojpeg = load_turbojpeg()
    if turbojpeg is None or picture.format is not PictureFormat.JPEG or output.format not in (None, PictureFormat.JPEG):
        return None
    try:
        rewritten = redact_jpeg(picture, cutouts, redaction, turbojpeg, keep_capture_time=output.keep_capture_time)
    except UnsupportedJpegError:
        return None
    except FacetError:
        raise
    except Exception as error:  # noqa: BLE001  (what a hostile file brings about is decoded in full, or refused there)
        _logger.warning("a JPEG could not be changed in its coefficients: %s", type(error).__name__)
        return None
    return Encoded(content=rewritten, format=PictureFormat.JPEG, notice="")


def _in_pixels(picture: Picture, cutouts: Sequence[Cutout], redaction: Redaction, output: Output) -> Encoded:
    pixels = picture.pixels()
    redact(pixels, cutouts, redaction, spread_px=spread_px(picture))
    return encode(pixels, picture, output)


def _needed_bytes(picture: Picture, output: Output) -> int:
    """The most that this work holds, as measured at peak with 24 megapixels of each format."""
    if picture.deep:
        a_pixel = 30
    elif _VIDEO_CODED & {picture.format, output.format}:
        a_pixel = 18
    else:
        a_pixel = 12
    return a_pixel * picture.width_px * picture.height_px
