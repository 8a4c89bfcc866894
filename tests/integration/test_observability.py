"""What operators see: one request id through all tiers, JSON log lines, metrics that Prometheus can read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.clients import metrics_of
from tests.support.processes import LogLine, RunningTier, Stack
from tests.support.waiting import eventually

MADE_ID = re.compile(r"[0-9a-f]{32}")
LEVELS = {"debug", "info", "warning", "error"}
SAMPLES_OF_EVERY_TIER = (
    "calls_in_progress",
    "queue_depth",
    "queue_wait_seconds_count",
    "queue_wait_seconds_sum",
    "refusals_total",
)


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.gateway.url, timeout=30) as client:
        yield client


def tiers_of(stack: Stack) -> dict[str, RunningTier]:
    return {"detector": stack.detector, "anonymizer": stack.anonymizer, "gateway": stack.gateway}


def of_request(request_id: str) -> Callable[[LogLine], bool]:
    return lambda line: line.get("request_id") == request_id


def test_request_id_of_the_caller_is_logged_by_every_tier_and_returned(
    stack: Stack, client: httpx.Client, astronaut_jpeg: bytes
) -> None:
    sent = f"order-7/{uuid.uuid4()}"
    answer = client.post("/v1/anonymize", content=astronaut_jpeg, headers={"X-Request-Id": sent})
    assert answer.headers["x-request-id"] == sent
    lines = {name: tier.wait_for(of_request(sent)) for name, tier in tiers_of(stack).items()}
    assert {name: line["tier"] for name, line in lines.items()} == {name: name for name in lines}
    assert lines["gateway"]["method"] == "POST /v1/anonymize"
    assert lines["gateway"]["request_bytes"] == len(astronaut_jpeg)
    assert lines["gateway"]["response_bytes"] == len(answer.content)
    assert lines["detector"]["request_bytes"] >= len(astronaut_jpeg)
    assert lines["anonymizer"]["response_bytes"] >= len(answer.content)


@pytest.mark.parametrize("sent", [None, "", "two words", "x" * 129, '{"a":1}', "<b>"])
def test_request_id_is_made_where_the_callers_is_not_harmless(
    stack: Stack, client: httpx.Client, astronaut_jpeg: bytes, sent: str | None
) -> None:
    headers = {} if sent is None else {"X-Request-Id": sent}
    made = client.post("/v1/detect", content=astronaut_jpeg, headers=headers).headers["x-request-id"]
    assert MADE_ID.fullmatch(made)
    stack.detector.wait_for(of_request(made))


def test_request_id_stands_in_the_problem_of_a_refused_request(client: httpx.Client) -> None:
    answer = client.post("/v1/detect", content=b"not a picture", headers={"X-Request-Id": "refused-1"})
    assert answer.status_code == 415
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "refused-1"


def test_every_line_of_every_log_is_a_json_object_with_time_level_tier_and_event(
    stack: Stack, client: httpx.Client, astronaut_jpeg: bytes
) -> None:
    client.post("/v1/anonymize", content=astronaut_jpeg)
    for name, tier in tiers_of(stack).items():
        assert tier.log
        for line in tier.log:
            assert line.keys() >= {"time", "level", "tier", "event"}, line
            assert line["tier"] == name
            assert line["level"] in LEVELS


@pytest.mark.parametrize("name", ["detector", "anonymizer", "gateway"])
def test_metrics_have_the_names_that_dashboards_ask_for(
    stack: Stack, client: httpx.Client, astronaut_jpeg: bytes, name: str
) -> None:
    client.post("/v1/anonymize", content=astronaut_jpeg)
    labels = {
        "detector": ("code=OK,method=DetectFaces", "method=DetectFaces"),
        "anonymizer": ("code=OK,method=AnonymizeImage", "method=AnonymizeImage"),
        "gateway": ("code=200,method=/v1/anonymize", "method=/v1/anonymize"),
    }
    of_calls, of_durations = labels[name]
    expected = {
        f"facet_{name}_calls_total{{{of_calls}}}",
        f"facet_{name}_call_duration_seconds_count{{{of_durations}}}",
        f"facet_{name}_call_duration_seconds_sum{{{of_durations}}}",
        *(f"facet_{name}_{sample}" for sample in SAMPLES_OF_EVERY_TIER),
        *({"facet_detector_faces_per_picture_count"} if name == "detector" else ()),
        "process_resident_memory_bytes",
    }
    assert expected - metrics_of(tiers_of(stack)[name]).keys() == set()


def test_calls_are_counted_by_method_and_code(stack: Stack, client: httpx.Client, astronaut_jpeg: bytes) -> None:
    good, bad = (f"facet_detector_calls_total{{code={code},method=DetectFaces}}" for code in ("OK", "INVALID_ARGUMENT"))
    client.post("/v1/detect", content=b"not a picture")
    client.post("/v1/detect", content=astronaut_jpeg)
    before = metrics_of(stack.detector)
    for _ in range(3):
        client.post("/v1/detect", content=astronaut_jpeg)
    client.post("/v1/detect", content=b"not a picture")

    def counted() -> bool:
        after = metrics_of(stack.detector)
        return (after[good] - before[good], after[bad] - before[bad]) == (3, 1)

    eventually(counted)


def test_paths_that_do_not_exist_add_one_label_value_alone(stack: Stack, client: httpx.Client) -> None:
    for number in range(5):
        assert client.get(f"/nowhere/{number}").status_code == 404
    unmatched = [name for name in metrics_of(stack.gateway) if "calls_total" in name and "code=404" in name]
    assert unmatched == ["facet_gateway_calls_total{code=404,method=unmatched}"]
