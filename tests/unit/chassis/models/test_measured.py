"""What was measured of a model: its curve and which faces are clear, in the manifest and laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis.errors import InvalidRequest
from services.chassis.models.manifest import load_manifest

CURVE = """
[mobilefacenet.curve]
pairs = 1000
median_genuine = 0.6
calibrated_on = "a test"
points = {points}
"""
POINTS = "[[0.2, 0.01], [0.3, 0.001], [0.4, 0.0001]]"


def write(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text)
    return path


def test_the_light_model_knows_its_curve_and_which_faces_it_holds_for() -> None:
    entry = load_manifest()["mobilefacenet"]
    assert entry.curve is not None
    assert entry.curve.pairs == 179_400
    assert [(step.side_px, step.norm) for step in entry.clear] == [(64, 11), (40, 14)]


def test_models_that_nobody_measured_have_no_curve() -> None:
    assert load_manifest()["curricularface-ir101"].curve is None
    assert load_manifest()["curricularface-ir101"].clear == ()


def test_an_owners_curve_replaces_the_built_in_one_and_nothing_else(tmp_path: Path) -> None:
    entry = load_manifest(write(tmp_path, CURVE.format(points=POINTS)))["mobilefacenet"]
    assert entry.curve is not None
    assert entry.curve.points == ((0.2, 0.01), (0.3, 0.001), (0.4, 0.0001))
    assert entry.clear == load_manifest()["mobilefacenet"].clear
    assert entry.threshold == load_manifest()["mobilefacenet"].threshold


def test_other_weights_under_a_built_in_name_do_not_inherit_what_was_measured(tmp_path: Path) -> None:
    entry = load_manifest(write(tmp_path, f'[mobilefacenet]\nsha256 = "{"0" * 64}"\n'))["mobilefacenet"]
    assert (entry.curve, entry.clear) == (None, ())
    told = f'[mobilefacenet]\nsha256 = "{"0" * 64}"\n{CURVE.format(points=POINTS)}'
    assert load_manifest(write(tmp_path, told))["mobilefacenet"].curve is not None


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("[[0.2, 0.01], [0.3, 0.001]]", "at least 3 points"),
        ("[[0.2, 0.01], [0.3, 0.01], [0.4, 0.001]]", "must rise from point to point, and the shares fall"),
        ("[[0.3, 0.01], [0.2, 0.001], [0.4, 0.0001]]", "must rise from point to point, and the shares fall"),
        ("[[0.2, 0.01], [0.3, 0.001], [0.4, 0]]", "greater than 0"),
    ],
)
def test_a_curve_that_is_none_is_refused(tmp_path: Path, points: str, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        load_manifest(write(tmp_path, CURVE.format(points=points)))
