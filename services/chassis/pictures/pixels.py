"""A decoded picture as samples that may be drawn into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.uint8 | np.uint16]  # H x W x C


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """An upright picture."""

    samples: Samples
    """Contiguous and writable, C = one for each of `channels`."""
    channels: str
    """A letter for each: L, LA, RGB, RGBA or CMYK."""

    @property
    def width_px(self) -> int:
        """Pixels."""
        return int(self.samples.shape[1])

    @property
    def height_px(self) -> int:
        """Pixels."""
        return int(self.samples.shape[0])
