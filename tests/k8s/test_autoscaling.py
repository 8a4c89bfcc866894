"""The embedder is scaled by measures that prometheus-adapter answers, and that say what they should."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.k8s.prometheus import AUTOSCALING, adapter_queries, complaints

WAIT = "facet_embedder_queue_wait_seconds_mean"
USE = "facet_embedder_device_use_ratio"


def test_measures_of_the_autoscaler_are_those_of_the_adapter() -> None:
    scaler = yaml.safe_load((AUTOSCALING / "embedder.yaml").read_text())

    assert {metric["pods"]["metric"]["name"] for metric in scaler["spec"]["metrics"]} == adapter_queries().keys()


def test_idle_embedder_has_no_wait_and_a_busy_one_its_mean(tmp_path: Path) -> None:
    # Over each minute of the busy one: 120 calls waited 30 s together, and the device worked for 45 s.
    series = {
        'facet_embedder_queue_wait_seconds_sum{namespace="facet", pod="idle"}': "1x10",
        'facet_embedder_queue_wait_seconds_count{namespace="facet", pod="idle"}': "1x10",
        'facet_embedder_device_seconds_sum{namespace="facet", pod="idle"}': "1x10",
        'facet_embedder_queue_wait_seconds_sum{namespace="facet", pod="busy"}': "0+30x10",
        'facet_embedder_queue_wait_seconds_count{namespace="facet", pod="busy"}': "0+120x10",
        'facet_embedder_device_seconds_sum{namespace="facet", pod="busy"}': "0+45x10",
    }
    expected = {WAIT: {"idle": 0, "busy": 0.25}, USE: {"idle": 0, "busy": 0.75}}
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": adapter_queries()[measure],
                "eval_time": "8m",
                "exp_samples": [{"labels": f'{{pod="{pod}"}}', "value": value} for pod, value in values.items()],
            }
            for measure, values in expected.items()
        ],
    }
    file = tmp_path / "measures.yaml"
    file.write_text(yaml.safe_dump({"tests": [test]}))

    assert complaints("test", "rules", str(file)) == ""
