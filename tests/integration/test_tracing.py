"""One trace over all tiers, at a collector that an owner names; none, and no cost, without."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import httpx
import numpy as np
import pytest

from services.chassis.errors import InvalidRequest, Overloaded
from services.chassis.process import tracing
from services.chassis.process.metrics import TierMetrics
from services.embedder.batcher import Batcher
from services.embedder.embeddings import FACE_SHAPE, Embeddings, FaceBatch
from services.embedder.metrics import BatchMetrics
from tests.support.collector import Collector, Received, running_collector
from tests.support.processes import QUICK_MODEL, REPOSITORY, Stack, start
from tests.support.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
LONGEST_VALUE = 128


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Stack]:
    """A stack that sends its traces to the collector."""
    running = Stack(embedder=False, **QUICK_MODEL, **collector.settings)
    yield running
    running.stop()


@pytest.fixture
def in_process(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in collector.settings.items():
        monkeypatch.setenv(name, value)
    with tracing.to_collector("test"):
        yield


def named(spans: list[Received], name: str) -> Received:
    [span] = [span for span in spans if span.name == name]
    return span


def requests_of(collector: Collector, request_id: str) -> list[Received]:
    wanted = ("GET /v1/models", request_id)
    return [span for span in collector.spans() if (span.name, span.attributes.get("facet.request_id")) == wanted]


def test_picture_is_one_trace_over_all_tiers(traced: Stack, collector: Collector, astronaut_jpeg: bytes) -> None:
    answer = httpx.post(
        f"{traced.gateway.url}/v1/anonymize",
        content=astronaut_jpeg,
        headers={"traceparent": TRACEPARENT, "tracestate": "vendor=hunter2", "X-Request-Id": "order-7"},
        timeout=30,
    )
    assert answer.status_code == 200
    spans = collector.trace(TRACE, spans=9)
    detect, hide = "facet.v1.DetectorService/DetectFaces", "facet.v1.AnonymizerService/AnonymizeImage"
    assert sorted((span.tier, span.name) for span in spans) == sorted(
        [
            ("facet-gateway", "POST /v1/anonymize"),
            ("facet-gateway", detect),
            ("facet-detector", detect),
            ("facet-detector", "queue"),
            ("facet-detector", "work"),
            ("facet-gateway", hide),
            ("facet-anonymizer", hide),
            ("facet-anonymizer", "queue"),
            ("facet-anonymizer", "work"),
        ]
    )
    request = named(spans, "POST /v1/anonymize")
    assert request.parent_id == CALLER
    for rpc in (detect, hide):
        [sent] = [span for span in spans if span.name == rpc and span.tier == "facet-gateway"]
        [served] = [span for span in spans if span.name == rpc and span.tier != "facet-gateway"]
        inside = [span for span in spans if span.tier == served.tier and span.name in {"queue", "work"}]
        assert sent.parent_id == request.span_id
        assert served.parent_id == sent.span_id
        assert {span.parent_id for span in inside} == {served.span_id}
        queue, work = named(inside, "queue"), named(inside, "work")
        assert served.start_ns <= queue.start_ns <= queue.end_ns
        assert queue.end_ns <= work.end_ns <= served.end_ns
    assert request.attributes == {
        "facet.request_id": "order-7",
        "facet.faces_found": 1,
        "facet.faces_hidden": 1,
        "facet.models": answer.headers["x-facet-model"],
        "http.request.method": "POST",
        "http.route": "/v1/anonymize",
        "http.response.status_code": 200,
    }


def test_failure_is_told_by_its_code_alone(traced: Stack, collector: Collector) -> None:
    trace = "1" * 32
    answer = httpx.post(
        f"{traced.gateway.url}/v1/detect",
        content=b"hunter2 is no picture",
        headers={"traceparent": f"00-{trace}-{CALLER}-01"},
        timeout=30,
    )
    assert answer.status_code == 415
    spans = collector.trace(trace, spans=5)
    assert {(span.tier, span.failure) for span in spans} == {
        ("facet-gateway", None),  # it answered as it should
        ("facet-gateway", "UNSUPPORTED_FORMAT"),
        ("facet-detector", "INVALID_ARGUMENT"),
        ("facet-detector", "UNSUPPORTED_FORMAT"),
        ("facet-detector", None),
    }


def test_trace_begins_here_where_a_caller_sends_none_or_nonsense(traced: Stack, collector: Collector) -> None:
    for index, sent in enumerate(({}, {"traceparent": "00-hunter2-01"}, {"traceparent": "x" * 5000})):
        request_id = f"nonsense-{index}"
        httpx.get(f"{traced.gateway.url}/v1/models", headers={**sent, "X-Request-Id": request_id}, timeout=30)
        eventually(partial(requests_of, collector, request_id))
        [request] = requests_of(collector, request_id)
        assert request.parent_id == ""


def test_probes_and_the_page_leave_no_traces(traced: Stack, collector: Collector) -> None:
    for path in ("/", "/healthz", "/readyz"):
        httpx.get(traced.gateway.url + path)
    httpx.get(f"{traced.gateway.url}/v1/models", headers={"traceparent": f"00-{'2' * 32}-{CALLER}-01"}, timeout=30)
    collector.trace("2" * 32, spans=1)  # what came before it has arrived by then
    assert {span.name for span in collector.spans() if span.tier == "facet-gateway"} == {
        "POST /v1/anonymize",
        "POST /v1/detect",
        "GET /v1/models",
        "facet.v1.DetectorService/DetectFaces",
        "facet.v1.DetectorService/ListModels",
        "facet.v1.AnonymizerService/AnonymizeImage",
        "facet.v1.EmbedderService/GetModel",
    }


def test_no_span_holds_content(traced: Stack, collector: Collector) -> None:  # noqa: ARG001  (of the tests above)
    spans = collector.spans()
    assert spans
    for span in spans:
        for value in span.attributes.values():
            assert isinstance(value, str | int | float), span
            assert len(str(value)) <= LONGEST_VALUE, span
    assert "hunter2" not in repr(spans)


async def test_batch_is_linked_to_the_calls_it_served(in_process: None, collector: Collector) -> None:  # noqa: ARG001
    may_finish = threading.Event()

    def embed(faces: FaceBatch) -> Embeddings:
        assert may_finish.wait(10)
        return Embeddings(values=np.ones((len(faces), 4), np.float32), norms=np.ones(len(faces), np.float32))

    batcher = Batcher(embed, max_batch=8, max_queue=8, observer=BatchMetrics(TierMetrics("embedder")))

    async def call(number: int, faces: int) -> None:
        with tracing.span(f"call {number}", parent=f"00-{str(number) * 32}-{CALLER}-01"):
            await batcher.embed(np.zeros((faces, *FACE_SHAPE), np.uint8))

    calls = [asyncio.create_task(call(3, 1))]
    await asyncio.sleep(0.05)  # it is on the device: the next two wait and share a batch
    calls += [asyncio.create_task(call(4, 1)), asyncio.create_task(call(5, 2))]
    await asyncio.sleep(0.05)
    may_finish.set()
    await asyncio.gather(*calls)
    await batcher.close()

    traces = await asyncio.to_thread(lambda: {n: collector.trace(str(n) * 32, spans=3) for n in (3, 4, 5)})
    roots = {n: named(spans, f"call {n}").span_id for n, spans in traces.items()}
    for n, spans in traces.items():
        assert {span.name: span.parent_id for span in spans} == {
            f"call {n}": CALLER,
            "queue": roots[n],
            "device": roots[n],
        }
    waits_s = {n: (named(t, "queue").end_ns - named(t, "queue").start_ns) / 1e9 for n, t in traces.items()}
    assert waits_s[3] < waits_s[4]
    assert waits_s[4] >= 0.04
    batches = {tuple(span.links): span.attributes for span in collector.spans() if span.name == "batch"}
    assert batches == {(roots[3],): {"facet.faces": 1}, (roots[4], roots[5]): {"facet.faces": 3}}


def test_domain_error_fails_its_span_by_its_code(in_process: None, collector: Collector) -> None:  # noqa: ARG001
    with pytest.raises(Overloaded), tracing.span("refused", parent=f"00-{'6' * 32}-{CALLER}-01"):
        raise Overloaded("hunter2")
    [span] = collector.trace("6" * 32, spans=1)
    assert span.failure == "OVERLOADED"


def test_tier_starts_and_stops_without_the_collector_it_is_to_send_to(astronaut_jpeg: bytes) -> None:
    anonymizer = start("anonymizer", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", FACET_DRAIN_S="0")
    anonymizer.wait_ready()
    gateway = start(
        "gateway",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        FACET_DRAIN_S="0",
        FACET_ANONYMIZER_TARGET=anonymizer.target,
    )
    httpx.post(f"{gateway.url}/v1/detect", content=astronaut_jpeg, timeout=30)
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert anonymizer.stop() == 0
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("part", ["sdk", "exporter", "proto"])
@pytest.mark.parametrize(
    "modules", ["services.chassis.rpc.server, services.anonymizer.tier, services.embedder.batcher", "gateway.server"]
)
def test_nothing_of_it_is_imported_where_nobody_traces(modules: str, part: str) -> None:
    program = f"""
import sys
import {modules}
from services.chassis.process import tracing
with tracing.to_collector("tier"), tracing.span("call", parent="{TRACEPARENT}", attributes={{"n": 1}}) as span:
    span.set_attributes({{"m": 2}})
    assert tracing.traceparent() == ""
sys.exit(any(name.startswith("opentelemetry.{part}") for name in sys.modules))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=REPOSITORY, check=True, timeout=60)


def test_start_fails_where_what_sends_traces_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.delitem(sys.modules, "services.chassis.process.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    named = r"pip install 'facet-privacy\[tracing\]'"
    with pytest.raises(InvalidRequest, match=named), tracing.to_collector("gateway"):
        pass


def test_start_fails_where_another_protocol_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    with pytest.raises(InvalidRequest, match="OTEL_EXPORTER_OTLP_PROTOCOL"), tracing.to_collector("gateway"):
        pass
