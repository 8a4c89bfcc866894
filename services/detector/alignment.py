"""Aligned faces: a face's landmarks laid on the 112 x 112 template that recognition networks were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.geometry import LandmarkType, Point, RgbImage
from services.detector.warping import Affine, warped

ALIGNED_SIDE_PX = 112

Points = NDArray[np.float64]  # N x 2, (x, y) rows


class Template(Enum):
    """Where landmarks stand in an aligned face, pixels of 112."""

    FIVE_POINT = {  # noqa: RUF012  (an enum's values are its members)
        LandmarkType.LEFT_EYE: Point(38.2946, 51.6963),
        LandmarkType.RIGHT_EYE: Point(73.5318, 51.5014),
        LandmarkType.NOSE_TIP: Point(56.0252, 71.7366),
        LandmarkType.MOUTH_LEFT: Point(41.5493, 92.3655),
        LandmarkType.MOUTH_RIGHT: Point(70.7299, 92.2041),
    }
    """The template of InsightFace, which CurricularFace and MobileFaceNet were trained with."""

    FOUR_POINT = {  # noqa: RUF012
        LandmarkType.LEFT_EYE: Point(37.40, 54.43),
        LandmarkType.RIGHT_EYE: Point(75.27, 54.14),
        LandmarkType.NOSE_TIP: Point(56.25, 77.36),
        LandmarkType.MOUTH_CENTER: Point(56.74, 94.94),
    }
    """For detectors without mouth corners: BlazeFace's landmarks (full range) fitted to the five-point template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedFace:
    """An aligned crop."""

    pixels: RgbImage
    """112 x 112 x 3."""
    template: Template


def align(picture: RgbImage, landmarks: Mapping[LandmarkType, Point]) -> AlignedFace | None:
    """Crops a face so that its landmarks lie on the template; None where landmarks are missing or coincide.

    Bilinear, with black outside the picture, as the reference implementations do: bit by bit OpenCV's `warpAffine`.
    """
    template = next((t for t in Template if t.value.keys() <= landmarks.keys()), None)
    if template is None:
        return None
    transform = similarity(_points(landmarks[kind] for kind in template.value), _points(template.value.values()))
    if transform is None:
        return None
    return AlignedFace(pixels=warped(picture, transform, ALIGNED_SIDE_PX), template=template)


def similarity(source: Points, target: Points) -> Affine | None:
    """The rotation, uniform scale and translation that lays `source` on `target` with the least squared distance.

    None where the source points coincide. Source: Umeyama, "Least-squares estimation of transformation parameters
    between two point patterns", PAMI 1991, equations 39 to 42.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_centred, target_centred = source - source_mean, target - target_mean
    variance = (source_centred**2).sum() / len(source)
    if variance < 1e-6:  # noqa: PLR2004  (square pixels: the points coincide)
        return None
    u, singular_values, vt = np.linalg.svd(target_centred.T @ source_centred / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = (singular_values * sign).sum() / variance
    linear = scale * rotation
    return np.column_stack([linear, target_mean - linear @ source_mean])


def _points(points: Iterable[Point]) -> Points:
    return np.array([(p.x, p.y) for p in points], np.float64)
