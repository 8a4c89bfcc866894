"""What stands in a hidden region's place.

The styles that are served unasked look only at pixels outside of every hidden region: what they show tells
nothing about a face, whatever it is compared with. The weak ones average the face itself, which still carries identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from services.anonymizer.regions import Mask
from services.chassis.pictures.pixels import Samples
from services.chassis.pictures.resampling import (
    Levels,
    blurred,
    cubic,
    enlarged,
    linear,
    resize_area,
    resize_like,
    resize_nearest,
)

MIN_CELL_PX = 2.0
_CONTEXT_A_FACE = 0.25
_GRAIN_A_SIGMA = 2.0  # a blur is drawn from values so many to a standard deviation apart
_REDUCED_SIGMA_PX = 4.0
_VALUES_A_CELL_SIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a style is to know of the samples it draws into."""

    face_px: tuple[float, float]
    """Longer side of the face's box, counted in samples across and down; they differ where chroma is subsampled."""
    opaque_black: tuple[int, ...]
    """One sample of each channel."""
    noise: tuple[float, ...]
    """Standard deviation of what is drawn into each channel to look like texture, as a share of the range of values;
    0 for a channel that carries no brightness."""
    seed: int
    """Of that noise. It must not depend on what is hidden."""


class Style(Protocol):
    """Renders what stands in a region's place."""

    @property
    def weak(self) -> bool:
        """Whether what it shows depends on what it hides."""
        ...

    def context_px(self, face_px: float) -> int:
        """How many pixels around the region it also needs."""
        ...

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:
        """New samples, shape and type of `samples`.

        Args:
            samples: The region's bounding box and its context.
            visible: H x W, True where a sample lies outside of every hidden region.
            scene: Sizes and colours.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """Square cells in the tones of what surrounds the region."""

    strength: float
    weak = False

    def context_px(self, face_px: float) -> int:
        """A quarter of the face."""
        return int(_CONTEXT_A_FACE * face_px)

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:
        """Cells outside are averages of what is visible in them; the tones run on inwards from these."""
        height, width = samples.shape[:2]
        cells = _grid(width, height, [side / cells_a_face(self.strength) for side in scene.face_px])
        tones = _tones_of_surroundings(samples, visible, cells)
        tones += _noise(tones.shape, samples.dtype, scene)
        return resize_nearest(tones, samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """A soft cloud in the tones of what surrounds the region."""

    strength: float
    weak = False

    def context_px(self, face_px: float) -> int:
        """A quarter of the face."""
        return int(_CONTEXT_A_FACE * face_px)

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:
        """The tones of the surroundings run on inwards."""
        height, width = samples.shape[:2]
        grain_px = [sigma_a_face(self.strength) * side / _GRAIN_A_SIGMA for side in scene.face_px]
        grid = _grid(width, height, grain_px)
        tones = _tones_of_surroundings(samples, visible, grid)
        tones += _noise(tones.shape, samples.dtype, scene)
        soft = blurred(tones, across_px=_GRAIN_A_SIGMA / 2, down_px=_GRAIN_A_SIGMA / 2)
        return resize_like(soft, samples, cubic)


@dataclass(frozen=True, slots=True)
class Solid:
    """Opaque black."""

    weak = False

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None."""
        return 0

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:  # noqa: ARG002
        """Nothing of the original enters."""
        rendered = np.empty_like(samples)
        rendered[:] = scene.opaque_black
        return rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragingMosaic:
    """Square cells, each the average of what it covers. Weak: a face recogniser does better than chance on it."""

    strength: float
    weak = True

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None: cells end at the region's bounding box."""
        return 0

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:  # noqa: ARG002
        """Area averages (not samples), drawn as flat cells."""
        height, width = samples.shape[:2]
        cells = _grid(width, height, [side / cells_a_face(self.strength) for side in scene.face_px])
        return resize_nearest(resize_area(samples, cells), samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianBlur:
    """A Gaussian blur. Weak: a face recogniser does better than chance on it."""

    strength: float
    weak = True

    def context_px(self, face_px: float) -> int:
        """Two standard deviations, so that the blur runs into its surroundings."""
        return int(2 * sigma_a_face(self.strength) * face_px)

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:  # noqa: ARG002
        """Blurs a reduced copy, which costs the same for a face of any size, and enlarges it again."""
        height, width = samples.shape[:2]
        sigmas_px = [sigma_a_face(self.strength) * side for side in scene.face_px]
        size = _grid(width, height, [max(1.0, sigma_px / _REDUCED_SIGMA_PX) for sigma_px in sigmas_px])
        across, down = (max(1.0, s * n / full) for s, n, full in zip(sigmas_px, size, (width, height), strict=True))
        return resize_like(blurred(resize_area(samples, size), across_px=across, down_px=down), samples, linear)


def cells_a_face(strength: float) -> float:
    """9 at strength 0, 6 at 0.5, 3 at 1."""
    return 9 - 6 * strength


def sigma_a_face(strength: float) -> float:
    """Standard deviation of a blur as a share of the face: 0.1 at strength 0, 0.25 at 0.5, 0.4 at 1."""
    return 0.1 + 0.3 * strength


def _grid(width: int, height: int, cell_px: list[float]) -> tuple[int, int]:
    """How many cells of about that size fill an area, across and down."""
    across_px, down_px = (max(MIN_CELL_PX, side) for side in cell_px)
    return max(1, round(width / across_px)), max(1, round(height / down_px))


def _tones_of_surroundings(samples: Samples, visible: Mask, cells: tuple[int, int]) -> Levels:
    """A grid of tones: the average of what is visible in a cell, and where nothing is, what lies around runs on."""
    across_px, down_px = samples.shape[1] / cells[0], samples.shape[0] / cells[1]
    step = max(1, int(min(across_px, down_px) / _VALUES_A_CELL_SIDE))  # of large cells, some samples are enough
    samples, shown = samples[::step, ::step], visible[::step, ::step, None].astype(np.float32)
    sums = resize_area(np.concatenate([samples * shown, shown], axis=2), cells)
    return _filled(sums, neutral=float(np.iinfo(samples.dtype).max) / 2)


def _filled(sums: Levels, *, neutral: float) -> Levels:
    """Sums over their weight, and where it is 0 the same from a grid half as fine, and so on (push-pull).

    Source: Gortler et al., "The Lumigraph" (SIGGRAPH 1996), section 3.4.

    Args:
        sums: The last channel is the weight of the others.
        neutral: What stands in where there is no weight anywhere.
    """
    weights = sums[..., -1:]
    known = weights > 0
    values = np.asarray(sums[..., :-1] / np.where(known, weights, 1), np.float32)
    if known.all():
        return values
    height, width = weights.shape[:2]
    if height == width == 1:
        return np.full_like(values, neutral)
    coarse = _filled(resize_area(sums, ((width + 1) // 2, (height + 1) // 2)), neutral=neutral)
    return np.where(known, values, enlarged(coarse, (width, height), linear))


def _noise(shape: tuple[int, ...], dtype: np.dtype[np.uint8 | np.uint16], scene: Scene) -> Levels:
    """The same texture in every channel, so that it changes brightness and not colour."""
    texture = np.random.default_rng(scene.seed).standard_normal((*shape[:2], 1), np.float32)
    return np.asarray(texture * np.array(scene.noise, np.float32) * np.iinfo(dtype).max, np.float32)
