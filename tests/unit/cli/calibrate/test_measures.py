"""Thresholds, rates and intervals against distributions whose answers are known."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cli.calibrate.measures import (
    Support,
    calibrate,
    equal_error_rate,
    false_match_curve,
    least_clear_norm,
    manifest_entry,
    roc,
    threshold_at,
)
from cli.calibrate.plot import write_plot
from services.chassis.errors import InvalidRequest
from services.chassis.models.manifest import load_manifest


def uniform(low: float, high: float, count: int = 200_001) -> NDArray[np.float64]:
    """Evenly spread scores, so that rates are known without chance."""
    return np.linspace(low, high, count)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def noisy_people(people: int, pictures: int, *, dimension: int, noise: float) -> tuple[NDArray[np.float32], list[str]]:
    dice = np.random.default_rng(5)
    centres = unit(dice.normal(size=(people, dimension)))
    spread = dice.normal(size=(people, pictures, dimension)) * noise / np.sqrt(dimension)
    embeddings = unit((centres[:, None] + spread).reshape(-1, dimension))
    return embeddings, [f"person {index // pictures}" for index in range(people * pictures)]


def test_equal_error_rate_of_overlapping_uniform_scores_is_half_the_overlap() -> None:
    # FAR(t) = 1 - t and 1 - TAR(t) = t - 0.5 cross at t = 0.75.
    assert equal_error_rate(uniform(0.5, 1.5), uniform(0, 1)) == pytest.approx(0.25, abs=1e-4)


def test_equal_error_rate_of_two_unit_normals_two_apart_is_phi_of_minus_one() -> None:
    dice = np.random.default_rng(1)
    error_rate = equal_error_rate(dice.normal(2, 1, 400_000), dice.normal(0, 1, 400_000))

    assert error_rate == pytest.approx(0.158655, abs=2e-3)


def test_equal_error_rate_of_separable_scores_is_zero() -> None:
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0


def test_equal_error_rate_of_identical_scores_is_a_half() -> None:
    assert equal_error_rate(np.full(10, 0.3), np.full(20, 0.3)) == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [1e-2, 1e-3, 1e-4])
def test_threshold_of_uniform_scores_is_one_minus_the_rate(rate: float) -> None:
    assert threshold_at(uniform(0, 1), rate) == pytest.approx(1 - rate, abs=2e-4)


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.01, 0.003])
def test_threshold_never_accepts_more_than_its_rate(rate: float) -> None:
    scores = np.round(np.random.default_rng(2).normal(0, 0.1, 1_000), 2)  # many ties

    threshold = threshold_at(scores, rate)

    assert np.mean(scores >= threshold) <= rate
    assert np.mean(scores >= threshold - 0.0101) > rate  # and the next lower score would


def test_roc_rises_from_accepting_nothing_to_accepting_everything() -> None:
    curve = roc(np.array([0.5, 0.7, 0.7]), np.array([0.1, 0.5]))

    assert curve.thresholds.tolist() == [np.inf, 0.7, 0.5, 0.1]
    assert curve.far.tolist() == [0, 0, 0.5, 1]
    assert curve.tar.tolist() == pytest.approx([0, 2 / 3, 1, 1])


def test_random_directions_in_space_give_the_threshold_that_geometry_predicts() -> None:
    # Cosines of random directions in three dimensions are uniform from -1 to 1 (Archimedes), so FAR 0.01 lies at 0.98.
    embeddings, people = noisy_people(400, 2, dimension=3, noise=0.01)

    point = calibrate(embeddings, people, rates=[1e-2]).points[0]

    assert point.threshold.value == pytest.approx(0.98, abs=2e-3)
    assert point.threshold.low <= 0.98 <= point.threshold.high
    assert point.support is Support.SOUND
    assert point.tar.value == 1


def test_interval_covers_the_true_threshold_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(40):
        dice = np.random.default_rng(seed)
        embeddings = np.repeat(unit(dice.normal(size=(40, 3))), 2, axis=0)
        point = calibrate(embeddings, [str(index // 2) for index in range(80)], rates=[0.05]).points[0]
        covered += point.threshold.low <= 0.9 <= point.threshold.high

    assert covered >= 34  # 95 % of 40 is 38; fewer than 34 happens once in 700 times


def test_folder_too_small_for_a_rate_is_told_so_and_gets_no_threshold() -> None:
    embeddings, people = noisy_people(5, 11, dimension=64, noise=0.5)

    calibration = calibrate(embeddings, people)

    assert calibration.genuine.size == 275
    assert calibration.impostor.size == 1210
    assert [(point.target_far, point.support) for point in calibration.points] == [(1e-2, Support.WEAK)]
    assert [warning for warning in calibration.warnings if "too small" in warning] == [
        f"the folder is too small for a false accept rate of {rate}: it has 1210 impostor pairs, "
        f"and a statement needs {needed}"
        for rate, needed in (("0.001", 3000), ("0.0001", 30000))
    ]
    assert any("5 people are few" in warning for warning in calibration.warnings)


def test_large_folder_is_sound_without_warnings() -> None:
    embeddings, people = noisy_people(300, 2, dimension=64, noise=0.5)

    calibration = calibrate(embeddings, people, rates=[1e-2, 1e-3])

    assert calibration.warnings == ()
    assert {point.support for point in calibration.points} == {Support.SOUND}


def test_same_seed_gives_the_same_intervals() -> None:
    embeddings, people = noisy_people(20, 3, dimension=8, noise=1.0)

    assert calibrate(embeddings, people).points == calibrate(embeddings, people).points


def test_order_of_the_pictures_does_not_matter() -> None:
    embeddings, people = noisy_people(20, 3, dimension=8, noise=1.0)
    order = np.random.default_rng(0).permutation(60)

    shuffled = calibrate(embeddings[order], [people[index] for index in order])

    expected = calibrate(embeddings, people)
    assert [point.threshold.value for point in shuffled.points] == [point.threshold.value for point in expected.points]
    assert shuffled.equal_error_rate.value == pytest.approx(expected.equal_error_rate.value)


@pytest.mark.parametrize(("people", "sentence"), [(["a", "a"], "at least two people"), (["a", "b"], "two pictures")])
def test_calibration_without_both_kinds_of_pairs_is_refused(people: list[str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        calibrate(np.eye(2, dtype=np.float32), people)


def test_manifest_takes_the_entry(tmp_path: Path) -> None:
    embeddings, people = noisy_people(40, 3, dimension=16, noise=0.5)
    calibration = calibrate(embeddings, people)
    point = calibration.points[0]

    norms = np.linspace(10, 20, 101).tolist()
    entry = manifest_entry(
        calibration,
        point,
        model="mobilefacenet",
        data='our "own" staff',
        day=date(2026, 1, 2),
        least_norm=least_clear_norm(norms),
    )
    path = tmp_path / "models.toml"
    path.write_text(entry)

    assert tomllib.loads(entry)["mobilefacenet"]["threshold"]["value"] == point.threshold.value
    threshold = load_manifest(path)["mobilefacenet"].threshold
    assert threshold is not None
    assert threshold.value == point.threshold.value
    assert threshold.calibrated_on.startswith('our "own" staff, 2026-01-02: 40 people')
    read = load_manifest(path)["mobilefacenet"]
    assert calibration.curve is not None
    assert read.curve is not None
    assert [similarity for similarity, _ in read.curve.points] == [point[0] for point in calibration.curve.points]
    assert read.curve.pairs == calibration.impostor.size
    assert read.curve.calibrated_on == 'our "own" staff, 2026-01-02: 40 people, 120 pictures'
    assert [(step.side_px, step.norm) for step in read.clear] == [(64, 10.1)]


def test_curve_is_the_rare_end_of_the_false_accept_rate() -> None:
    impostor = np.random.default_rng(3).normal(0, 0.1, 100_000)
    curve = false_match_curve(np.array([0.5, 0.6, 0.8]), impostor)
    assert curve is not None
    assert (curve.pairs, curve.median_genuine) == (100_000, 0.6)
    similarities, shares = zip(*curve.points, strict=True)
    assert list(similarities) == sorted(similarities)
    assert list(shares) == sorted(set(shares), reverse=True)
    assert 0.01 < shares[0] <= 0.02
    assert shares[-1] >= 3 / 100_000
    for similarity, share in curve.points:
        assert share == np.mean(impostor >= similarity)


def test_a_folder_too_small_for_a_curve_gets_none_and_says_what_follows() -> None:
    embeddings, people = noisy_people(8, 3, dimension=64, noise=0.5)
    calibration = calibrate(embeddings, people, rates=[0.1])
    assert calibration.curve is None
    assert any("`keep` and `facet find` refuse to decide" in warning for warning in calibration.warnings)
    entry = manifest_entry(
        calibration, calibration.points[0], model="mobilefacenet", data="few", day=date(2026, 1, 2), least_norm=12.0
    )
    assert "curve" not in tomllib.loads(entry)["mobilefacenet"]


def test_plot_is_a_png_that_shows_both_kinds_of_pairs(tmp_path: Path) -> None:
    embeddings, people = noisy_people(40, 3, dimension=16, noise=0.5)
    path = tmp_path / "calibration.png"

    write_plot(calibrate(embeddings, people), path, model="mobilefacenet")

    with Image.open(path) as plot:
        assert plot.format == "PNG"
        assert plot.size == (1400, 600)
        colours = {colour for _, colour in plot.convert("RGB").getcolors(1 << 24) or []}
    assert len(colours) > 100
