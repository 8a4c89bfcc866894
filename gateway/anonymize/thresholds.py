"""From how many faces are compared to the similarity that makes a match sure.

The more people a face is compared with, the more alike it must be: with FMR(t) the share of pairs of two people at or
above similarity t, the threshold for N comparisons solves FMR(t) = 1 - (1 - FPIR)^(1/N), so that all N together name a
wrong person with probability FPIR (ISO/IEC 19795-1: false positive identification rate). log10 FMR is taken to be
quadratic in t, fitted to a model's measured curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from facet.v1 import embedder_pb2

FPIR = 0.01
"""How often a picture, or a search, in which a person is absent may name somebody for them."""
LEAST_COMPARISONS = 30
"""What fewer comparisons count as: whoever shares one picture shares others, and FPIR is to hold for them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SureThreshold:
    """The cosine similarity above which a match is certain, given the number of comparisons."""

    value: float
    comparisons: int
    extrapolated: bool
    """Rarer false matches are asked for than the curve's pairs could show."""
    mostly_missed: bool
    """More than half of the pairs of one person are less alike than that."""

    @property
    def notice(self) -> str:
        """What to know of it, a sentence for people; empty where there is nothing to say."""
        if self.mostly_missed:
            return (
                f"This model cannot distinguish that many people: {self.comparisons} comparisons need a similarity of "
                f"{self.value:.2f}, which most pairs of the same person do not reach."
            )
        if self.extrapolated:
            return (
                f"The required similarity, {self.value:.2f} for {self.comparisons} comparisons, is extrapolated from "
                "the model's curve."
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchCurve:
    """A model's measured curve."""

    points: Sequence[tuple[float, float]]
    """Cosine similarity, and the share of pairs of two people at or above it; similarities rise, shares fall."""
    pairs: int
    """Pairs of two people behind it."""
    median_genuine: float
    """Cosine similarity that half of the pairs of one person reach."""

    @classmethod
    def from_wire(cls, message: embedder_pb2.MatchCurve) -> Self:
        """As the embedder answers it."""
        return cls(
            points=[(point.similarity, point.false_match_rate) for point in message.points],
            pairs=message.pairs,
            median_genuine=message.median_genuine,
        )

    def sure(self, comparisons: int, *, at_least: float, fpir: float = FPIR) -> SureThreshold:
        """The threshold for so many comparisons.

        Args:
            comparisons: References x faces; fewer than LEAST_COMPARISONS count as so many.
            at_least: The threshold for a pair, below which none goes.
            fpir: See FPIR.
        """
        counted = max(comparisons, LEAST_COMPARISONS)
        rate = -math.expm1(math.log1p(-fpir) / counted)
        value = max(at_least, self._similarity_at(math.log10(rate)))
        return SureThreshold(
            value=value,
            comparisons=counted,
            extrapolated=rate < 1 / self.pairs,
            mostly_missed=value > self.median_genuine,
        )

    def _similarity_at(self, log_rate: float) -> float:
        """Where the fitted curve falls to a rate."""
        curvature, slope, offset = self._fit()
        missing = offset - log_rate
        root = math.sqrt(max(0.0, slope**2 - 4 * curvature * missing))  # 0 = it lies above all that the curve reaches
        if slope <= 0:  # the form without a difference of nearly equal numbers, also for a straight line
            return 2 * missing / (root - slope)
        return -(slope + root) / (2 * curvature)

    def _fit(self) -> tuple[float, float, float]:
        """Factors of t^2, t and 1 in log10 FMR(t); that of t^2 is at most 0, so that it falls without end."""
        similarities, rates = np.array(self.points, np.float64).T
        log_rates = np.log10(rates)
        weights = np.sqrt(rates * self.pairs)  # a count of n is certain to about 1 in sqrt(n)
        curvature, slope, offset = np.polyfit(similarities, log_rates, 2, w=weights)
        if curvature >= 0:
            curvature = 0.0
            slope, offset = np.polyfit(similarities, log_rates, 1, w=weights)
        return float(curvature), float(slope), float(offset)
