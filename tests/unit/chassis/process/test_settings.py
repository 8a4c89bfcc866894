"""Settings come from the environment, typed and checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.anonymizer.settings import AnonymizerSettings
from services.chassis.process.settings import MIB, ModelSettings, SharedSettings, TierSettings, load_settings
from services.detector.settings import DetectorSettings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FACET_HOST", "FACET_DRAIN_S", "FACET_GRACE_S", "FACET_MODELS_DIR", "FACET_MODELS_MIRROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("kind", "ports"), [(DetectorSettings, (50051, 9101)), (AnonymizerSettings, (50053, 9103))])
def test_local_ports_are_the_documented_ones(kind: type[TierSettings], ports: tuple[int, int]) -> None:
    settings = kind()
    assert (settings.port, settings.metrics_port) == ports


def test_tier_listens_on_loopback_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DetectorSettings().shared.host == "127.0.0.1"
    monkeypatch.setenv("FACET_HOST", "0.0.0.0")  # noqa: S104
    assert DetectorSettings().shared.host == "0.0.0.0"  # noqa: S104


def test_setting_of_one_tier_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_DETECTOR_WORKERS", "3")
    monkeypatch.setenv("FACET_DETECTOR_QUEUE_SIZE", "5")
    detector = DetectorSettings()
    assert (detector.workers, detector.queue_size) == (3, 5)
    assert AnonymizerSettings().queue_size == 64


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_detector_computes_in_the_precision_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    assert DetectorSettings().options.precision == "auto" or "FACET_DETECTOR_PRECISION" in os.environ
    monkeypatch.setenv("FACET_DETECTOR_PRECISION", precision)
    assert DetectorSettings().options.precision == precision


def test_models_are_kept_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACET_MODELS_DIR", str(tmp_path))
    assert DetectorSettings().models.dir == tmp_path
    assert ModelSettings().mirror is None


def test_answer_twice_the_size_of_the_largest_picture_fits_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_MAX_IMAGE_BYTES", str(3 * MIB))
    settings = SharedSettings()
    assert settings.picture_limits.max_bytes == 3 * MIB
    assert settings.max_message_bytes > 2 * 3 * MIB


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FACET_DETECTOR_PORT", "65536"),
        ("FACET_DETECTOR_PORT", "-1"),
        ("FACET_DETECTOR_PORT", "http"),
        ("FACET_DETECTOR_WORKERS", "0"),
        ("FACET_DETECTOR_PRECISION", "fp16"),
        ("FACET_DETECTOR_QUEUE_SIZE", "0"),
        ("FACET_LOG_LEVEL", "LOUD"),
        ("FACET_MAX_IMAGE_BYTES", "0"),
        ("FACET_DRAIN_S", "-1"),
        ("FACET_GRACE_S", "0"),
    ],
)
def test_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        DetectorSettings()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("FACET_TLS_KEY", "FACET_TLS_CERTIFICATE, FACET_TLS_KEY and FACET_TLS_CA: set all three or none"),
        ("FACET_HEALTH_PORT", "FACET_HEALTH_PORT: only with FACET_TLS_CERTIFICATE"),
    ],
)
def test_settings_that_need_others_name_them(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit, match=told):
        load_settings(DetectorSettings)
