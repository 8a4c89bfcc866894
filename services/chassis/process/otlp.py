"""What sends spans: OpenTelemetry's SDK, by OTLP over gRPC. Imported only where an owner names a collector."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

from services.chassis.rpc.channels import DIRECT
from services.chassis.version import facet_version

LAST_SENDING_S = 2.0
"""How long a tier that stops tries to send its last spans: a collector that is gone must not hold it up."""


@contextmanager
def sending(tier: str) -> Iterator[Tracer]:
    """Sends in the background what the standard variables `OTEL_…` say, to where they say; then what is left.

    Connects when there is something to send.
    """
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", f"facet-{tier}"),
            "service.version": facet_version(),
            "service.instance.id": socket.gethostname(),
        }
    )
    exporter = OTLPSpanExporter(channel_options=DIRECT)  # type: ignore[arg-type]  # values may be numbers
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer("facet", facet_version())
    finally:
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(LAST_SENDING_S)
        if last.is_alive():
            exporter.shutdown()  # ends the wait between two tries
            last.join(LAST_SENDING_S)
