"""The metrics endpoint that every tier has."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis.process.metrics import TierMetrics


def test_metrics_are_served_until_they_are_stopped() -> None:
    metrics = TierMetrics("test")
    metrics.calls.labels("DetectFaces", "OK").inc()
    port, stop = metrics.expose("127.0.0.1", 0)
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    stop()
    [sample] = [sample for sample in families["facet_test_calls"].samples if sample.name.endswith("_total")]
    assert (sample.labels, sample.value) == ({"method": "DetectFaces", "code": "OK"}, 1)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_port_in_use_is_told_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port} for metrics .*FACET_TEST_METRICS_PORT"):
            TierMetrics("test").expose("127.0.0.1", port)
