"""A collector of traces (OTLP over gRPC) that keeps the bytes it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass(slots=True, kw_only=True)
class Collector(grpc.GenericRpcHandler):
    """Takes every export."""

    exports: list[bytes] = field(default_factory=list)
    endpoint: str = ""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The one method."""
        return grpc.unary_unary_rpc_method_handler(self._export) if handler_call_details.method == _EXPORT else None

    def _export(self, content: bytes, _context: grpc.ServicerContext) -> bytes:
        self.exports.append(content)
        return b""  # an empty ExportTraceServiceResponse: all was taken


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collects on a free port for as long as the context lasts."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[collector])
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None)
