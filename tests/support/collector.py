"""A collector of traces: takes OTLP over gRPC as a real one does, and keeps the spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.waiting import eventually

Value = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span as it came."""

    tier: str
    """The service's name."""
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: list[str]
    """Ids of spans."""
    attributes: dict[str, Value]
    failure: str | None
    start_ns: int
    end_ns: int


class Collector(service.TraceServiceServicer):
    """Listens on a free loopback port."""

    def __init__(self) -> None:
        self._spans: list[Received] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        service.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        """What makes a tier send here, soon."""
        self._server.start()

    def Export(  # noqa: N802
        self,
        request: service_pb.ExportTraceServiceRequest,
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> service_pb.ExportTraceServiceResponse:
        """Keeps what comes."""
        with self._lock:
            for resource in request.resource_spans:
                tier = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                self._spans.extend(_received(tier, span) for scope in resource.scope_spans for span in scope.spans)
        return service_pb.ExportTraceServiceResponse()

    def spans(self) -> list[Received]:
        """All so far."""
        with self._lock:
            return list(self._spans)

    def trace(self, trace_id: str, *, spans: int) -> list[Received]:
        """The spans of one trace, once there are so many, in the order of their beginning."""
        eventually(lambda: sum(span.trace_id == trace_id for span in self.spans()) >= spans)
        return sorted((span for span in self.spans() if span.trace_id == trace_id), key=lambda span: span.start_ns)

    def stop(self) -> None:
        """Listens no more."""
        self._server.stop(None).wait()


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector for as long as the context lasts."""
    collector = Collector()
    try:
        yield collector
    finally:
        collector.stop()


def _received(tier: str, span: trace_pb2.Span) -> Received:
    return Received(
        tier=tier,
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        links=[link.span_id.hex() for link in span.links],
        attributes={a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in span.attributes},
        failure=span.status.message if span.status.code == trace_pb2.Status.STATUS_CODE_ERROR else None,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )
