"""What was measured of each style, and what it is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SOLID = "Solid"
"""The style whose rates are the floor."""
_Z_95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often something happened."""

    hits: int
    trials: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, after Wilson, "Probable inference, the law of succession, and statistical inference" (1927)."""
        share, weight = self.value, _Z_95**2 / self.trials
        half = _Z_95 * math.sqrt(share * (1 - share) / self.trials + weight / (4 * self.trials))
        low, high = share + weight / 2 - half, share + weight / 2 + half
        return max(0.0, low / (1 + weight)), min(1.0, high / (1 + weight))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the strongest of several attacks achieves."""

    attack: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One style on one set of pictures."""

    weak: bool
    found_again: Rate
    recognised: Mapping[str, Outcome]
    """The strongest of each kind of attack."""
    psnr_outside_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Every style on one set of pictures."""

    title: str
    chance: float
    """Of naming the right person of a gallery without looking."""
    styles: Mapping[str, Result]

    def above_floor(self, style: str, kind: str) -> bool:
        """Whether more is recognised than the interval of Solid's rate allows."""
        floor = self.styles[SOLID].recognised[kind].rate
        return self.styles[style].recognised[kind].rate.value > floor.interval[1]
