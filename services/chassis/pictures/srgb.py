"""Colours by a profile to sRGB, as screens show them (littlecms)."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image, ImageCms

from services.chassis.pictures.geometry import RgbImage
from services.chassis.pictures.pixels import Samples

_NO_DIFFERENCE = 2
"""Levels of 255. Profiles of sRGB differ by so much among each other."""
_MOST_JUDGEMENTS = 1024
_CLASS, _SPACE = slice(12, 16), slice(16, 20)
_DISPLAY = b"mntr"
_CLASSES_OF_COLOURS = (b"scnr", b"mntr", b"prtr", b"spac")
_MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}
_PROBE_STEPS = 12

_judgements: dict[bytes, bool] = {}
"""Whether profiles show what sRGB shows, by their SHA-256: they are not kept themselves."""


class ToSrgb:
    """From a profile's colours, or from those of no profile, to 8-bit sRGB. Used by one thread at a time."""

    def __init__(self, profile: bytes | None) -> None:
        """`None` = the numbers are sRGB's already.

        Raises:
            ImageCms.PyCMSError, OSError: The profile tells no way to sRGB.
        """
        self._mode = "RGB" if profile is None else _MODES[profile[_SPACE]]
        self._transform = None if profile is None else _transform(profile, self._mode)
        self._greys = _greys(self._transform) if self._mode == "L" and self._transform else None

    @property
    def changes_nothing(self) -> bool:
        """Whether numbers of RGB stay as they are."""
        return self._transform is None

    def image(self, colours: Image.Image) -> Image.Image:
        """RGB of an image in mode L, RGB or CMYK; it may be the same, and may have been overwritten."""
        if self._transform is None:
            return colours if colours.mode == "RGB" else colours.convert("RGB")
        if colours.mode != self._mode:
            colours = colours.convert(self._mode)
        if self._mode == "RGB":
            ImageCms.applyTransform(colours, self._transform, inPlace=True)
            return colours
        if self._greys:
            return Image.merge("RGB", [colours.point(levels) for levels in self._greys])
        shown = ImageCms.applyTransform(colours, self._transform)
        assert shown is not None  # noqa: S101  (for the type checker: it is not in place)
        return shown

    def deep(self, samples: Samples) -> RgbImage:
        """Of 16-bit samples, H x W x 1, 3 or 4 (inks): their upper bytes' colours, interpolated by the lower ones.

        Linear light would have 13 levels of sRGB between its first two upper bytes.
        """
        upper = (samples >> 8).astype(np.uint8)
        if self._transform is None:
            return np.asarray(self.image(_image(upper)))
        low = np.asarray(self.image(_image(upper)), np.float32)
        high = np.asarray(self.image(_image(np.minimum(upper, 254) + np.uint8(1))), np.float32)
        part = (samples & 0xFF).astype(np.float32) / 256
        weight = part if part.shape[2] in (1, 3) else part.mean(axis=2, keepdims=True)
        return np.asarray(low + (high - low) * weight + 0.5, np.uint8)


def to_srgb(profile: bytes | None) -> ToSrgb:
    """The way from a profile's colours; a profile that shows what sRGB shows, or tells no way, is passed over."""
    return ToSrgb(None if profile is None or _is_srgb(profile) else profile)


def _is_srgb(profile: bytes) -> bool:
    digest = hashlib.sha256(profile).digest()
    judgement = _judgements.get(digest)
    if judgement is None:
        if len(_judgements) >= _MOST_JUDGEMENTS:
            _judgements.clear()
        judgement = _judgements[digest] = _shows_as_srgb(profile)
    return judgement


def _shows_as_srgb(profile: bytes) -> bool:
    """By what it does, not by its name."""
    try:
        mode = _MODES[profile[_SPACE]]
        transform = _transform(profile, mode)
    except (KeyError, OSError, ImageCms.PyCMSError):
        return True
    if mode == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)
    steps = np.linspace(0, 255, _PROBE_STEPS).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    probe = np.concatenate([colours if mode == "RGB" else colours[:0], ramp[:, None].repeat(3, axis=1)])
    stored = _image(probe[None] if mode == "RGB" else probe[None, :, :1])
    shown = ImageCms.applyTransform(stored, transform)
    return bool(np.abs(np.asarray(shown, np.int16) - probe[None].astype(np.int16)).max() <= _NO_DIFFERENCE)


def _greys(transform: ImageCms.ImageCmsTransform) -> list[list[int]]:
    """Red, green and blue of each grey."""
    shown = ImageCms.applyTransform(_image(np.arange(256, dtype=np.uint8)[None, :, None]), transform)
    return [list(levels) for levels in np.asarray(shown)[0].T.tolist()]


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    if profile[_CLASS] not in _CLASSES_OF_COLOURS:  # browsers look at the tags alone
        profile = profile[: _CLASS.start] + _DISPLAY + profile[_CLASS.stop :]
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    # Of grey, littlecms' shortcut has straight lines where the curve is steepest.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)


def _image(samples: Samples) -> Image.Image:
    """In mode L, RGB or CMYK, by the channels; a copy."""
    height, width, channels = samples.shape
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(samples).tobytes())
