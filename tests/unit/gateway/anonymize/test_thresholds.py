"""How the similarity that makes a match sure rises with what is compared."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facet.v1 import embedder_pb2
from gateway.anonymize.thresholds import FPIR, LEAST_COMPARISONS, MatchCurve
from services.chassis.models.manifest import load_manifest


def quadratic(offset: float, slope: float, curvature: float, *, pairs: int = 1_000_000) -> MatchCurve:
    """A curve whose points lie exactly on one."""
    points = [(t, 10 ** (offset + slope * t + curvature * t**2)) for t in (0.25, 0.3, 0.35, 0.4, 0.45)]
    return MatchCurve(points=points, pairs=pairs, median_genuine=0.6)


@pytest.mark.parametrize(("offset", "slope", "curvature"), [(0.246, -6.92, -7.8), (0, -10, 0), (-1, 0, -20)])
@pytest.mark.parametrize("comparisons", [LEAST_COMPARISONS, 100, 10_000])
def test_all_comparisons_together_name_a_stranger_as_often_as_they_may(
    offset: float, slope: float, curvature: float, comparisons: int
) -> None:
    sure = quadratic(offset, slope, curvature).sure(comparisons, at_least=0)
    rate = 10 ** (offset + slope * sure.value + curvature * sure.value**2)
    assert 1 - (1 - rate) ** comparisons == pytest.approx(FPIR, rel=1e-3)


def test_the_published_figures_of_the_light_model_hold() -> None:
    curve = quadratic(0.246, -6.92, -7.8)
    thresholds = {n: curve.sure(n, at_least=0.29).value for n in (64, 100, 1_000, 10_000)}
    assert thresholds == pytest.approx({64: 0.40, 100: 0.42, 1_000: 0.49, 10_000: 0.56}, abs=0.01)


@settings(deadline=None)  # the first example loads numpy's parts, and machines are shared
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_comparisons_never_lower_it(few: int, many: int) -> None:
    curve = quadratic(0.246, -6.92, -7.8)
    few, many = sorted((few, many))
    assert curve.sure(few, at_least=0.29).value <= curve.sure(many, at_least=0.29).value


def test_it_never_goes_below_the_threshold_for_a_pair() -> None:
    assert quadratic(0.246, -6.92, -7.8).sure(1, at_least=0.55).value == 0.55


def test_a_curve_that_would_turn_up_again_is_taken_to_be_straight() -> None:
    bent = MatchCurve(points=[(0.2, 1e-2), (0.3, 1e-3), (0.4, 5e-4)], pairs=10_000, median_genuine=0.6)
    assert bent.sure(10**6, at_least=0.3).value > bent.sure(10**3, at_least=0.3).value > 0.3


@pytest.mark.parametrize(
    ("comparisons", "extrapolated", "mostly_missed", "told"),
    [
        (100, False, False, ""),
        (20_000, True, False, "is extrapolated"),
        (10**6, True, True, "This model cannot distinguish that many people: 1000000 comparisons"),
    ],
)
def test_what_a_curve_cannot_carry_is_told(
    comparisons: int,
    extrapolated: bool,  # noqa: FBT001
    mostly_missed: bool,  # noqa: FBT001
    told: str,
) -> None:
    sure = quadratic(0.246, -6.92, -7.8).sure(comparisons, at_least=0.29)
    assert (sure.extrapolated, sure.mostly_missed) == (extrapolated, mostly_missed)
    assert told in sure.notice
    assert bool(sure.notice) is bool(told)


def test_the_installed_curve_passes_the_wire_as_it_is() -> None:
    entry = load_manifest()["mobilefacenet"].curve
    assert entry is not None
    message = embedder_pb2.MatchCurve(
        points=[embedder_pb2.MatchCurvePoint(similarity=x, false_match_rate=y) for x, y in entry.points],
        pairs=entry.pairs,
        median_genuine=entry.median_genuine,
    )
    values = [
        MatchCurve(points=entry.points, pairs=entry.pairs, median_genuine=entry.median_genuine).sure(64, at_least=0.29),
        MatchCurve.from_wire(message).sure(64, at_least=0.29),
    ]
    assert math.isclose(values[0].value, values[1].value, abs_tol=1e-5)
    assert values[0].value == pytest.approx(0.40, abs=0.01)
