"""Traces: which part of a request took how long, in which tier. Off, at no cost, until an owner names a collector.

A seam of our own instead of OpenTelemetry's instrumentation packages: those wrap every call of a library, know nothing
of queues and batches, and record the messages of errors, which may quote data. Spans here carry sizes, counts, ids and
codes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from services.chassis.errors import InvalidRequest

TRACEPARENT = "traceparent"
"""The HTTP header and gRPC metadata key (W3C Trace Context)."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Either switches tracing on."""
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")

Attributes = Mapping[str, str | int | float | bool]
NONE: Attributes = MappingProxyType({})


class Kind(Enum):
    """Which end of a call a span is."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()


class Span(Protocol):
    """A stretch of time in a trace."""

    def rename(self, name: str) -> None:
        """Gives it the name that was not known at its beginning."""

    def add(self, attributes: Attributes) -> None:
        """Adds what has become known."""

    def fail(self, reason: str) -> None:
        """Marks it as failed; `reason` is a code, never a message. The first one stays."""


class Tracer(Protocol):
    """Makes spans; each method does what the function of its name tells."""

    def span(
        self, name: str, kind: Kind, parent: str, links: Sequence[str], attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span around a block."""
        ...

    def past(self, name: str, seconds: float, parent: str, attributes: Attributes) -> None:
        """A span that ends now."""

    def traceparent(self) -> str:
        """The current span."""
        ...

    def close(self) -> None:
        """Sends what is left."""


class _Off:
    """Makes no spans, and is the span it makes."""

    def span(
        self,
        name: str,  # noqa: ARG002
        kind: Kind,  # noqa: ARG002
        parent: str,  # noqa: ARG002
        links: Sequence[str],  # noqa: ARG002
        attributes: Attributes,  # noqa: ARG002
    ) -> Self:
        return self

    def past(self, name: str, seconds: float, parent: str, attributes: Attributes) -> None:
        pass

    def traceparent(self) -> str:
        return ""

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def add(self, attributes: Attributes) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


class _InUse:
    """The process's tracer."""

    tracer: Tracer = _Off()


def is_on() -> bool:
    """Whether spans go anywhere; while they do not, layers that do nothing but make them can be left out."""
    return not isinstance(_InUse.tracer, _Off)


def span(
    name: str,
    *,
    kind: Kind = Kind.INTERNAL,
    parent: str = "",
    links: Sequence[str] = (),
    attributes: Attributes = NONE,
) -> AbstractContextManager[Span]:
    """A span around the `with` block, which fails where that raises.

    Args:
        name: Few different ones: no ids, no paths that callers make up.
        kind: Which end of a call it is.
        parent: A traceparent; empty = the span around it, if any. One that is malformed counts as none.
        links: The traceparents of other spans it has to do with; empty ones are left out.
        attributes: Sizes, counts, ids and codes.
    """
    return _InUse.tracer.span(name, kind, parent, links, attributes)


def past(name: str, seconds: float, *, parent: str = "", attributes: Attributes = NONE) -> None:
    """A span that began so many seconds ago and ends now: of what waited, and knew only afterwards for how long."""
    _InUse.tracer.past(name, seconds, parent, attributes)


def traceparent() -> str:
    """The span around the caller, to be sent or kept; empty where there is none."""
    return _InUse.tracer.traceparent()


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
            raise InvalidRequest(f"{name}: traces are sent by grpc alone (most collectors take that on port 4317)")
    try:
        from services.chassis.process.otlp import OtlpTracer  # noqa: PLC0415  (nobody else pays for it)
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"{named} is set, and what sends traces is not installed: pip install 'facet-privacy[tracing]', or unset it"
        ) from error
    _InUse.tracer = tracer = OtlpTracer(tier)
    try:
        yield
    finally:
        _InUse.tracer = _Off()
        tracer.close()
