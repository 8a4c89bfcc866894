"""A tier that dies or hangs under the gateway: an honest error meanwhile, recovery by itself, never the original."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.processes import QUICK_MODEL, RunningTier, Stack, start, suspended
from tests.support.waiting import eventually

DEADLINE_S = 2.0


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """A stack whose tiers may be hurt; each test leaves it whole."""
    running = Stack(embedder=False, **QUICK_MODEL, FACET_GATEWAY_DEADLINE_S=str(DEADLINE_S))
    yield running
    running.stop()


@pytest.fixture
def client(own_stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=own_stack.gateway.url, timeout=30) as client:
        yield client


def anonymize(client: httpx.Client, picture: bytes) -> httpx.Response:
    return client.post("/v1/anonymize", params={"recall": "fast"}, content=picture)


def assert_anonymized(answer: httpx.Response, original: bytes) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-facet-faces"] == "1"
    assert answer.content != original


def assert_refused(answer: httpx.Response, original: bytes, *statuses: int) -> None:
    assert answer.status_code in statuses
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["detail"]
    assert original[:1000] not in answer.content


def is_ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 200


def tier_of(stack: Stack, name: str) -> RunningTier:
    tier: RunningTier = getattr(stack, name)
    return tier


@contextmanager
def killed(tier: RunningTier) -> Iterator[None]:
    tier.signal(signal.SIGKILL)
    tier.wait()
    try:
        yield
    finally:
        tier.restart()
        tier.wait_ready()


@pytest.mark.parametrize("name", ["detector", "anonymizer"])
def test_killed_tier_is_named_and_the_gateway_recovers_with_it(
    own_stack: Stack, client: httpx.Client, name: str, astronaut_jpeg: bytes
) -> None:
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)
    with killed(tier_of(own_stack, name)):
        ready = client.get("/readyz")
        assert ready.status_code == 503
        tiers = ready.json()["tiers"]
        others = {"detector", "anonymizer"} - {name}
        assert tiers[name]["status"] == "not ready"
        assert tiers[name]["detail"].startswith(f"The {name} does not answer")
        assert all(tiers[other]["status"] == "ready" for other in others)
        answer = anonymize(client, astronaut_jpeg)
        assert_refused(answer, astronaut_jpeg, 503)
        assert f"the {name} does not answer" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
    eventually(lambda: is_ready(client))
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)


@pytest.mark.parametrize("name", ["detector", "anonymizer"])
def test_request_to_a_hung_tier_ends_by_its_deadline_and_the_gateway_recovers_with_it(
    own_stack: Stack, client: httpx.Client, name: str, astronaut_jpeg: bytes
) -> None:
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)
    with suspended(tier_of(own_stack, name)):
        answer = anonymize(client, astronaut_jpeg)
        assert_refused(answer, astronaut_jpeg, 503, 504)
        assert answer.elapsed.total_seconds() < DEADLINE_S + 1
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["tiers"][name]["status"] == "not ready"
    eventually(lambda: is_ready(client))
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)


def test_tier_that_dies_in_the_middle_of_a_request_is_an_error_not_an_answer(
    own_stack: Stack, client: httpx.Client, astronaut_jpeg: bytes
) -> None:
    """The anonymizer is held while it has the picture, then dies."""
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)
    anonymizer = own_stack.anonymizer
    answers: list[httpx.Response] = []
    with suspended(anonymizer), httpx.Client(base_url=own_stack.gateway.url, timeout=30) as other:
        sender = threading.Thread(target=lambda: answers.append(anonymize(other, astronaut_jpeg)))
        detected = len(own_stack.detector.log)
        sender.start()
        own_stack.detector.wait_for(lambda line: line.get("event") == "call", since=detected)
        anonymizer.signal(signal.SIGKILL)
        sender.join()
    anonymizer.wait()
    [answer] = answers
    assert_refused(answer, astronaut_jpeg, 503)
    anonymizer.restart()
    eventually(lambda: is_ready(client))


def test_embedding_without_an_embedder_says_what_to_do_and_anonymizing_works_all_the_same(
    client: httpx.Client, astronaut_jpeg: bytes
) -> None:
    answer = client.post("/v1/embed", content=astronaut_jpeg)
    assert_refused(answer, astronaut_jpeg, 503)
    assert "the embedder does not answer" in answer.json()["detail"]
    assert "facet models pull" in answer.json()["detail"]
    compared = client.post("/v1/compare", files={"image_a": astronaut_jpeg, "image_b": astronaut_jpeg})
    assert_refused(compared, astronaut_jpeg, 503)
    assert is_ready(client)
    assert_anonymized(anonymize(client, astronaut_jpeg), astronaut_jpeg)


def test_detector_without_weights_is_told_through_the_gateway(tmp_path: object, astronaut_jpeg: bytes) -> None:
    detector = start("detector", FACET_MODELS_DIR=str(tmp_path))
    gateway = start("gateway", FACET_DETECTOR_TARGET=detector.target, FACET_ANONYMIZER_TARGET="127.0.0.1:1")
    try:
        with httpx.Client(base_url=gateway.url, timeout=30) as client:
            answer = anonymize(client, astronaut_jpeg)
            assert_refused(answer, astronaut_jpeg, 503)
            assert "facet models pull blazeface-full" in answer.json()["detail"]
            states = client.get("/readyz").json()["tiers"]
            assert "facet models pull blazeface-full" in states["detector"]["detail"]
    finally:
        gateway.stop()
        detector.stop()
