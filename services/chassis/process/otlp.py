"""Spans by OpenTelemetry's SDK, sent to a collector by OTLP over gRPC. Imported only where an owner names one."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace import Span as SdkSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.errors import FacetError
from services.chassis.process.tracing import TRACEPARENT, Attributes, Kind
from services.chassis.rpc.channels import DIRECT
from services.chassis.version import facet_version

LAST_SENDING_S = 2.0
"""How long a tier that stops tries to send its last spans: a collector that is gone must not hold it up."""

_KINDS = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}
_W3C = TraceContextTextMapPropagator()


class OtlpSpan:
    """A span that is sent once it ends."""

    def __init__(self, span: SdkSpan) -> None:
        self._span = span
        self._failed = False

    def rename(self, name: str) -> None:
        """Gives it another name."""
        self._span.update_name(name)

    def add(self, attributes: Attributes) -> None:
        """Adds attributes."""
        self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        """Marks it as failed, unless it is."""
        if not self._failed:
            self._failed = True
            self._span.set_status(Status(StatusCode.ERROR, reason))


class OtlpTracer:
    """Sends in the background what the standard variables `OTEL_…` say, to where they say."""

    def __init__(self, tier: str) -> None:
        """Connects when there is something to send."""
        resource = Resource.create(
            {
                "service.name": os.environ.get("OTEL_SERVICE_NAME", f"facet-{tier}"),
                "service.version": facet_version(),
                "service.instance.id": socket.gethostname(),
            }
        )
        self._exporter = OTLPSpanExporter(channel_options=DIRECT)  # type: ignore[arg-type]  # values may be numbers
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("facet", facet_version())

    @contextmanager
    def span(
        self, name: str, kind: Kind, parent: str, links: Sequence[str], attributes: Attributes
    ) -> Iterator[OtlpSpan]:
        """A span around the block. What is raised is told by its code: a message may quote what it is about."""
        with self._tracer.start_as_current_span(
            name,
            _context_of(parent),
            _KINDS[kind],
            dict(attributes),
            [Link(get_current_span(_context_of(link)).get_span_context()) for link in links if link],
            record_exception=False,
            set_status_on_exception=False,
        ) as started:
            span = OtlpSpan(started)
            try:
                yield span
            except BaseException as error:
                span.fail(error.reason if isinstance(error, FacetError) else type(error).__name__)
                raise

    def past(self, name: str, seconds: float, parent: str, attributes: Attributes) -> None:
        """A span that ends now."""
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            name, _context_of(parent), attributes=dict(attributes), start_time=end_ns - round(seconds * 1e9)
        )
        span.end(end_ns)

    def traceparent(self) -> str:
        """The current span as a header."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get(TRACEPARENT, "")

    def close(self) -> None:
        """Sends what is left, for as long as LAST_SENDING_S."""
        sending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sending.start()
        sending.join(LAST_SENDING_S)
        if sending.is_alive():
            self._exporter.shutdown()  # ends the wait between two tries
            sending.join(LAST_SENDING_S)


def _context_of(traceparent: str) -> Context | None:
    """None = the current one. `tracestate` is left out: a caller writes into it what it likes."""
    return _W3C.extract({TRACEPARENT: traceparent}) if traceparent else None
