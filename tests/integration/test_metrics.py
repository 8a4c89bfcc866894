"""What operators tell replicas apart by: whether each serves, in which version, with which model."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from services.chassis.version import facet_version
from tests.support.clients import metrics_of
from tests.support.processes import RunningTier, Stack, start
from tests.support.waiting import eventually


def info(tier: str, model_id: str) -> str:
    return f"facet_{tier}_info{{model_id={model_id},version={facet_version()}}}"


@pytest.fixture
def empty_embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTier]:
    """An embedder without weights."""
    running = start("embedder", FACET_MODELS_DIR=str(tmp_path_factory.mktemp("empty")))
    yield running
    running.stop()


def test_tier_that_answers_is_ready_and_names_its_model(stack: Stack, astronaut_jpeg: bytes) -> None:
    answer = httpx.post(f"{stack.gateway.url}/v1/detect", content=astronaut_jpeg, timeout=30).json()

    metrics = metrics_of(stack.detector)
    assert (metrics["facet_detector_ready"], metrics[info("detector", answer["model"])]) == (1, 1)
    assert [name for name in metrics if name.startswith("facet_detector_info")] == [info("detector", answer["model"])]


def test_tiers_without_a_model_are_ready_and_name_none(stack: Stack) -> None:
    for name, tier in (("anonymizer", stack.anonymizer), ("gateway", stack.gateway)):
        metrics = metrics_of(tier)
        assert (metrics[f"facet_{name}_ready"], metrics[info(name, "")]) == (1, 1)


def test_embedder_names_its_model(identity_stack: Stack) -> None:
    assert identity_stack.embedder is not None
    metrics = metrics_of(identity_stack.embedder)

    [name] = [name for name in metrics if name.startswith("facet_embedder_info")]
    assert "model_id=mobilefacenet@" in name
    assert metrics["facet_embedder_ready"] == 1


def test_tier_without_weights_is_not_ready_and_names_no_model(empty_embedder: RunningTier) -> None:
    metrics = metrics_of(empty_embedder)

    assert (metrics["facet_embedder_ready"], metrics[info("embedder", "")]) == (0, 1)


def test_tier_that_drains_is_no_longer_ready() -> None:
    anonymizer = start("anonymizer", FACET_DRAIN_S="5")
    try:
        anonymizer.wait_ready()
        assert metrics_of(anonymizer)["facet_anonymizer_ready"] == 1
        anonymizer.signal(signal.SIGTERM)
        eventually(lambda: metrics_of(anonymizer)["facet_anonymizer_ready"] == 0, timeout_s=5)
    finally:
        anonymizer.process.kill()
        anonymizer.wait()


def test_probes_are_not_counted_as_calls(stack: Stack) -> None:
    for path in ("/healthz", "/readyz"):
        httpx.get(stack.gateway.url + path, timeout=30).raise_for_status()

    assert not [name for name in metrics_of(stack.gateway) if "/healthz" in name or "/readyz" in name]
