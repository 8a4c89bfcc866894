"""Traces: which part of a request took how long, in which tier. Off, at no cost, until an owner names a collector.

By OpenTelemetry's interface, without its instrumentation packages: those wrap every call of a library, know nothing of
queues and batches, and record the messages of errors, which may quote data. Spans here carry sizes, counts, ids and
codes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.errors import FacetError, InvalidRequest

TRACEPARENT = "traceparent"
"""The HTTP header and gRPC metadata key (W3C Trace Context)."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Either switches tracing on."""
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")

Attributes = Mapping[str, str | int | float | bool]
_OFF = NoOpTracer()
_W3C = TraceContextTextMapPropagator()


class _InUse:
    """The process's tracer. Not OpenTelemetry's global one, which can be set but once."""

    tracer: Tracer = _OFF


def is_on() -> bool:
    """Whether spans go anywhere; while they do not, layers that do nothing but make them can be left out."""
    return _InUse.tracer is not _OFF


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Attributes | None = None,
) -> Iterator[Span]:
    """A span around the `with` block, which fails where that raises, by a code: a message may quote what it is about.

    Args:
        name: Few different ones: no ids, no paths that callers make up.
        kind: Which end of a call it is.
        parent: A traceparent; empty = the span around it, if any. One that is malformed counts as none.
        links: The traceparents of other spans it has to do with; empty ones are left out.
        attributes: Sizes, counts, ids and codes.
    """
    if not is_on():  # not even a context to leave again, which a call that is cancelled may leave in another task
        yield INVALID_SPAN
        return
    with _InUse.tracer.start_as_current_span(
        name,
        _context_of(parent),
        kind,
        attributes,
        [Link(get_current_span(_context_of(link)).get_span_context()) for link in links if link],
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        try:
            yield started
        except BaseException as error:
            fail(started, error.reason if isinstance(error, FacetError) else type(error).__name__)
            raise


def fail(failed: Span, reason: str) -> None:
    """Marks a span as failed; `reason` is a code, never a message. The first one stays."""
    status = getattr(failed, "status", None)  # which the spans alone have that are sent
    if status is None or status.is_unset:
        failed.set_status(Status(StatusCode.ERROR, reason))


def record_span(name: str, seconds: float, *, parent: str = "", attributes: Attributes | None = None) -> None:
    """Records a span that began `seconds` ago and ends now, for waits whose length is known only afterwards."""
    end_ns = time.time_ns()
    began_ns = end_ns - round(seconds * 1e9)
    _InUse.tracer.start_span(name, _context_of(parent), attributes=attributes, start_time=began_ns).end(end_ns)


def traceparent() -> str:
    """The span around the caller, to be sent or kept; empty where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get(TRACEPARENT, "")


@contextmanager
def to_collector(tier: str) -> Iterator[None]:
    """Traces for as long as the context lasts, where the environment names a collector; then sends what is left.

    Raises:
        InvalidRequest: It names one that cannot be used, or what sends to it is not installed.
    """
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is None:
        yield
        return
    for name in _PROTOCOLS:
        if os.environ.get(name, "grpc") != "grpc":
            raise InvalidRequest(f"{name}: traces are only sent over grpc (most collectors accept it on port 4317)")
    try:
        from services.chassis.process.otlp import sending  # noqa: PLC0415  (nobody else pays for it)
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"{named} is set, but its exporter is not installed: pip install 'facet-privacy[tracing]', or unset it"
        ) from error
    with sending(tier) as tracer:
        _InUse.tracer = tracer
        try:
            yield
        finally:
            _InUse.tracer = _OFF


def _context_of(traceparent: str) -> Context | None:
    """None = the current one. `tracestate` is left out: a caller writes into it what it likes."""
    return _W3C.extract({TRACEPARENT: traceparent}) if traceparent else None
