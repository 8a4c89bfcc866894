"""From labelled embeddings to a decision threshold: ROC, equal error rate, thresholds at false accept rates.

Terms as in ISO/IEC 19795-1: a genuine pair shows one person, an impostor pair two; a pair is accepted when its cosine
similarity is at or above the threshold; FAR is the share of impostor pairs accepted, TAR the share of genuine pairs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from services.chassis.errors import InvalidRequest
from services.chassis.models.manifest import MIN_CURVE_POINTS

FALSE_ACCEPT_RATES = (1e-2, 1e-3, 1e-4)
CONFIDENCE = 0.95
RESAMPLES = 500
MIN_ERRORS_SHOWN = 3
"""Rule of three: when none of n trials fails, the rate is below 3/n with 95 % confidence. So n impostor pairs say
nothing about a rate below 3/n."""
MIN_ERRORS_SOUND = 30
"""Rule of thirty (Doddington): with 30 errors, the true rate is within 30 % of the one observed with 90 % confidence.
Both rules: Mansfield & Wayman, "Best Practices in Testing and Reporting Performance of Biometric Devices" (2002)."""
MIN_PEOPLE_SOUND = 30
"""Below, resampling people says little about people who are not in the folder."""
CURVE_FROM = 0.02
"""The highest FAR of a curve."""
CURVE_STEP = 0.02
"""Between the similarities of its points."""
SOFTEST = 0.01
"""Share of the measured faces that may be softer than what counts as clear."""
CLEAR_SIDE_PX = 64
"""Longer side of a face from which on it counts as clear: smaller ones are enlarged twice and more to be embedded, and
in crowds they look alike whoever they are (`make bench-keep`)."""
_NO_CURVE = (
    "the folder is too small for a curve of false matches, without which `keep` and `facet find` refuse to decide: "
    "about 30 people with two pictures each are the least"
)
THRESHOLD_STEP = 1e-4  # thresholds are rounded up to it: what is printed is what was measured

Scores = NDArray[np.float64]  # cosine similarities, one a pair


class Support(StrEnum):
    """How far the data carry a threshold."""

    SOUND = "sound"
    WEAK = "weak"
    """Fewer than 30 errors or 30 people behind it: take the interval seriously."""
    NONE = "none"
    """Too few impostor pairs for any statement at this rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured value and its 95 % interval, from resampling people."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """The threshold at which at most a given share of impostor pairs is accepted."""

    target_far: float
    support: Support
    threshold: Estimate
    tar: Estimate
    """Share of genuine pairs accepted at the threshold."""
    far: float
    """Share of impostor pairs accepted at the threshold; at most the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roc:
    """The trade-off, one entry a distinct threshold, falling thresholds."""

    thresholds: Scores
    far: NDArray[np.float64]
    tar: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseMatchCurve:
    """The rare end of FAR over thresholds, from which thresholds for many comparisons follow."""

    points: tuple[tuple[float, float], ...]
    """Similarity, and the share of impostor pairs at or above it; similarities rise, shares fall."""
    pairs: int
    """Impostor pairs."""
    median_genuine: float
    """Similarity that half of the genuine pairs reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a set of labelled embeddings says about a model's threshold."""

    people: int
    pictures: int
    genuine: Scores
    impostor: Scores
    roc: Roc
    equal_error_rate: Estimate
    points: tuple[OperatingPoint, ...]
    """One a rate of `FALSE_ACCEPT_RATES` that the data carry at all, or of those asked for."""
    warnings: tuple[str, ...]
    """What the data are too few for, in sentences."""
    curve: FalseMatchCurve | None
    """None where the data are too few for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Every pair once; `first` and `second` are indices of people. Ordered by falling score."""

    scores: Scores
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @property
    def genuine(self) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = self.first == self.second
        return same


def calibrate(
    embeddings: NDArray[np.float32],
    people: Sequence[str],
    *,
    rates: Sequence[float] = FALSE_ACCEPT_RATES,
    seed: int = 0,
) -> Calibration:
    """Compares every picture with every other.

    Intervals come from resampling people, not pairs (the subsets bootstrap of Bolle, Ratha & Pankanti, "Error analysis
    of pattern recognition systems", CVIU 93, 2004): pairs that share a person are not independent, and intervals that
    treat them so are too narrow. Memory and time grow with the square of the number of pictures.

    Args:
        embeddings: N x dimension, L2-normalised, all of one model.
        people: who is on each picture, N names.
        rates: false accept rates to find thresholds for.
        seed: of the resampling; the same data and seed give the same answer.

    Raises:
        InvalidRequest: Fewer than two people, or nobody with two pictures.
    """
    pairs, count = _pairs(embeddings, people)
    genuine, impostor = pairs.scores[pairs.genuine], pairs.scores[~pairs.genuine]
    if count < 2:  # noqa: PLR2004  (it takes two to compare)
        raise InvalidRequest("calibration needs pictures of at least two people")
    if not genuine.size:
        raise InvalidRequest("calibration needs at least one person with two pictures")
    supports = {rate: _support(rate, impostor.size, count) for rate in rates}
    carried = [rate for rate in rates if supports[rate] is not Support.NONE]
    thresholds = {rate: threshold_at(impostor, rate) for rate in carried}
    resampled = _resample(pairs, count, thresholds, np.random.default_rng(seed))
    error_rate = equal_error_rate(genuine, impostor)
    curve = false_match_curve(genuine, impostor)
    return Calibration(
        people=count,
        pictures=len(people),
        genuine=genuine,
        impostor=impostor,
        roc=roc(genuine, impostor),
        equal_error_rate=_estimate(error_rate, resampled.error_rates),
        points=tuple(
            OperatingPoint(
                target_far=rate,
                support=supports[rate],
                threshold=_estimate(thresholds[rate], resampled.thresholds[rate]),
                tar=_estimate(float(np.mean(genuine >= thresholds[rate])), resampled.tars[rate]),
                far=float(np.mean(impostor >= thresholds[rate])),
            )
            for rate in carried
        ),
        warnings=(*_warnings(supports, impostor.size, count), *([] if curve else [_NO_CURVE])),
        curve=curve,
    )


def threshold_at(impostor: Scores, rate: float) -> float:
    """The lowest multiple of `THRESHOLD_STEP` at which at most `rate` of the impostor pairs are accepted."""
    accepted = math.floor(rate * impostor.size * (1 + 1e-12))  # 0.01 * 300 is 3, whatever binary fractions say
    highest_refused = np.partition(impostor, -accepted - 1)[-accepted - 1]
    return _round_up(float(highest_refused))


def false_match_curve(genuine: Scores, impostor: Scores) -> FalseMatchCurve | None:
    """The points of FAR from CURVE_FROM down to what MIN_ERRORS_SHOWN pairs reach; None where these are too few.

    Its common end is left out: log10 FAR is about quadratic in the threshold at its rare end alone.
    """
    ranked = np.sort(impostor)
    points: list[tuple[float, float]] = []
    for step in range(round(-1 / CURVE_STEP), round(1 / CURVE_STEP) + 1):
        similarity = round(step * CURVE_STEP, 4)
        accepted = impostor.size - int(np.searchsorted(ranked, similarity, side="left"))
        if accepted > CURVE_FROM * impostor.size or (points and accepted / impostor.size == points[-1][1]):
            continue
        if accepted < MIN_ERRORS_SHOWN:
            break
        points.append((similarity, accepted / impostor.size))
    if len(points) < MIN_CURVE_POINTS:
        return None
    return FalseMatchCurve(points=tuple(points), pairs=impostor.size, median_genuine=float(np.median(genuine)))


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """Where FAR and 1 - TAR cross; between two thresholds, on the straight line between them."""
    curve = roc(genuine, impostor)
    return _crossing(curve.far, curve.tar)


def roc(genuine: Scores, impostor: Scores) -> Roc:
    """FAR and TAR at every threshold that makes a difference, from accepting nothing to accepting everything."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    far = 1 - np.searchsorted(np.sort(impostor), thresholds, side="left") / impostor.size
    tar = 1 - np.searchsorted(np.sort(genuine), thresholds, side="left") / genuine.size
    return Roc(
        thresholds=np.concatenate([[np.inf], thresholds]),
        far=np.concatenate([[0.0], far]),
        tar=np.concatenate([[0.0], tar]),
    )


def manifest_entry(  # noqa: PLR0913  (what an entry consists of)
    calibration: Calibration,
    point: OperatingPoint,
    *,
    model: str,
    data: str,
    day: date,
    least_norm: float | None = None,
) -> str:
    """The TOML table that gives `model` this threshold and this curve, for the owner's manifest.

    Args:
        calibration: what was measured.
        point: the operating point chosen.
        least_norm: the norm below which a face is softer than those measured; None where it is not known.
        model: the model's name in the manifest, without its hash.
        data: what the pictures are, for people.
        day: when it was measured.
    """
    calibrated_on = (
        f"{data}, {day.isoformat()}: {calibration.people} people, {calibration.impostor.size} impostor pairs, "
        f"FAR {point.target_far:g}, TAR {point.tar.value:.4f}, "
        f"threshold between {point.threshold.low:.4f} and {point.threshold.high:.4f} with 95 % confidence"
    )
    # A JSON string without escapes beyond ASCII is a TOML basic string.
    entry = (
        f"[{model}]\n"
        f"threshold = {{ value = {point.threshold.value:.4f}, "
        f"calibrated_on = {json.dumps(calibrated_on, ensure_ascii=False)} }}\n"
    )
    if calibration.curve is None:
        return entry
    measured_on = f"{data}, {day.isoformat()}: {calibration.people} people, {calibration.pictures} pictures"
    points = "".join(f"    [{similarity:g}, {share:.3g}],\n" for similarity, share in calibration.curve.points)
    if least_norm is not None:
        entry += f"clear = [{{ side_px = {CLEAR_SIDE_PX}, norm = {least_norm:.1f} }}]\n"
    return (
        f"{entry}\n[{model}.curve]\n"
        f"pairs = {calibration.curve.pairs}\n"
        f"median_genuine = {calibration.curve.median_genuine:.4f}\n"
        f"calibrated_on = {json.dumps(measured_on, ensure_ascii=False)}\n"
        f"points = [\n{points}]\n"
    )


def least_clear_norm(norms: Sequence[float]) -> float:
    """The norm that all but one in a hundred of the measured faces reach: of softer ones the curve says nothing."""
    return float(np.quantile(norms, SOFTEST))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resampled:
    error_rates: list[float]
    thresholds: dict[float, list[float]]
    tars: dict[float, list[float]]


def _pairs(embeddings: NDArray[np.float32], people: Sequence[str]) -> tuple[_Pairs, int]:
    names, person = np.unique(np.asarray(people), return_inverse=True)
    rows, columns = np.triu_indices(len(person), k=1)
    scores = (embeddings @ embeddings.T)[rows, columns].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    return (
        _Pairs(scores=scores[order], first=person[rows][order], second=person[columns][order]),
        len(names),
    )


def _resample(pairs: _Pairs, people: int, thresholds: dict[float, float], dice: np.random.Generator) -> _Resampled:
    """Draws as many people as there are, with replacement; a person drawn twice counts twice in each of their pairs."""
    genuine = pairs.genuine
    impostor_scores = pairs.scores[~genuine]
    impostor_people = pairs.first[~genuine], pairs.second[~genuine]
    genuine_people = pairs.first[genuine]
    resampled = _Resampled(
        error_rates=[], thresholds={rate: [] for rate in thresholds}, tars={rate: [] for rate in thresholds}
    )
    for _ in range(RESAMPLES):
        drawn = np.bincount(dice.integers(people, size=people), minlength=people)
        # A copy of a person paired with the same person's other copy is no impostor: such pairs are left out.
        impostor_weights = drawn[impostor_people[0]] * drawn[impostor_people[1]]
        genuine_weights = drawn[genuine_people]
        if not impostor_weights.any() or not genuine_weights.any():
            continue
        accepted = np.cumsum(impostor_weights)
        far = np.zeros(pairs.scores.size)
        far[~genuine] = impostor_weights
        tar = np.zeros(pairs.scores.size)
        tar[genuine] = genuine_weights
        resampled.error_rates.append(
            _crossing(np.cumsum(far) / impostor_weights.sum(), np.cumsum(tar) / genuine_weights.sum())
        )
        for rate, threshold in thresholds.items():
            highest_refused = np.searchsorted(accepted, rate * accepted[-1] * (1 + 1e-12), side="right")
            resampled.thresholds[rate].append(_round_up(float(impostor_scores[highest_refused])))
            resampled.tars[rate].append(float(np.average(pairs.scores[genuine] >= threshold, weights=genuine_weights)))
    return resampled


def _crossing(far: NDArray[np.float64], tar: NDArray[np.float64]) -> float:
    """Where the curve, from (0, 0) to (1, 1), meets FAR = 1 - TAR."""
    excess = np.concatenate([[-1.0], far + tar - 1])  # negative before the crossing
    after = int(np.argmax(excess >= 0))
    far_before = 0.0 if after == 1 else float(far[after - 2])
    far_after = float(far[after - 1])
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return far_before + float(share) * (far_after - far_before)


def _estimate(value: float, resampled: list[float]) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _support(rate: float, impostor_pairs: int, people: int) -> Support:
    errors = rate * impostor_pairs
    if errors < MIN_ERRORS_SHOWN:
        return Support.NONE
    return Support.SOUND if errors >= MIN_ERRORS_SOUND and people >= MIN_PEOPLE_SOUND else Support.WEAK


def _warnings(supports: dict[float, Support], impostor_pairs: int, people: int) -> tuple[str, ...]:
    sentences = []
    if people < MIN_PEOPLE_SOUND:
        sentences.append(
            f"{people} people are few: from {MIN_PEOPLE_SOUND} on, intervals also speak for people not in the folder"
        )
    for rate, support in supports.items():
        if support is Support.NONE:
            sentences.append(
                f"the folder is too small for a false accept rate of {rate:g}: it has {impostor_pairs} impostor pairs, "
                f"and a statement needs {math.ceil(MIN_ERRORS_SHOWN / rate)}"
            )
        elif rate * impostor_pairs < MIN_ERRORS_SOUND:
            sentences.append(
                f"the threshold for a false accept rate of {rate:g} rests on the {rate * impostor_pairs:.0f} highest "
                f"of {impostor_pairs} impostor pairs; it is sound from {math.ceil(MIN_ERRORS_SOUND / rate)} pairs on"
            )
    return tuple(sentences)


def _round_up(score: float) -> float:
    """The next multiple of `THRESHOLD_STEP` above `score`, so that a pair with exactly this score is refused."""
    steps = math.floor(score / THRESHOLD_STEP)
    return next(
        threshold
        for threshold in (round(step * THRESHOLD_STEP, 4) for step in (steps, steps + 1, steps + 2))
        if threshold > score
    )
