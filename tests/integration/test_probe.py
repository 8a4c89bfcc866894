"""What health checks of containers find."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, RunningTier, start

DETECTOR = "facet.v1.DetectorService"
ANONYMIZER = "facet.v1.AnonymizerService"


@pytest.fixture
def without_weights(tmp_path: Path) -> Iterator[RunningTier]:
    """A detector that lives and never becomes ready."""
    tier = start("detector", FACET_MODELS_DIR=str(tmp_path))
    yield tier
    tier.stop()


@pytest.fixture
def ready() -> Iterator[RunningTier]:
    """An anonymizer, which needs no weights."""
    tier = start("anonymizer")
    tier.wait_ready()
    yield tier
    tier.stop()


def test_probe_of_a_tier_that_is_ready_ends_with_zero(ready: RunningTier) -> None:
    assert _probed(ready.port, ANONYMIZER).returncode == 0


def test_probe_of_a_tier_without_weights_tells_alive_from_ready(without_weights: RunningTier) -> None:
    assert _probed(without_weights.port).returncode == 0
    assert _probed(without_weights.port, DETECTOR).returncode == 1


def test_probe_of_a_port_where_nobody_listens_says_so() -> None:
    probed = _probed(1, DETECTOR)
    assert (probed.returncode, probed.stderr.split(":")[0]) == (1, "UNAVAILABLE")


@pytest.mark.parametrize("arguments", [(), ("detector",), (1, "a", "b")])
def test_probe_of_nothing_says_how_it_is_used(arguments: tuple[object, ...]) -> None:
    probed = _probed(*arguments)
    assert (probed.returncode, probed.stderr.split(":")[0]) == (1, "usage")


def _probed(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.chassis.rpc.probe", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY)
