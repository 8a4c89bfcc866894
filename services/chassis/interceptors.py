"""Around every call, unary or streaming: request id, metrics, access log, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from services.chassis import request_id
from services.chassis.errors import FacetError
from services.chassis.metrics import TierMetrics
from services.chassis.status import DETAILS_KEY, code_of, to_status

_log = logging.getLogger("facet.access")

Context = grpc.aio.ServicerContext[Any, Any]
HEALTH_PREFIX = "/grpc.health.v1."


@dataclass(slots=True)
class _Call:
    """What the access log tells of one call."""

    method: str
    request_bytes: int = 0
    response_bytes: int = 0
    items: int = 0

    def received(self, message: Message) -> None:
        self.request_bytes += message.ByteSize()

    def answered(self, message: Message) -> None:
        self.response_bytes += message.ByteSize()
        self.items += 1


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every unary and streaming handler but the health service's, which probes call every few seconds."""

    def __init__(self, metrics: TierMetrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler, wrapped."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH_PREFIX):
            return handler
        serialization = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **serialization)
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._stream(method, handler.stream_stream), **serialization)
        return handler

    def _unary(self, method: str, inner: Any) -> Any:  # noqa: ANN401  (grpc's own types end here)
        async def call(request: Message, context: Context) -> Message:
            async with self._observed(method, context) as record:
                record.received(request)
                response: Message = await inner(request, context)
                record.answered(response)
                return response

        return call

    def _stream(self, method: str, inner: Any) -> Any:  # noqa: ANN401
        async def call(requests: AsyncIterator[Message], context: Context) -> AsyncIterator[Message]:
            async with self._observed(method, context) as record:

                async def counted() -> AsyncIterator[Message]:
                    async for request in requests:
                        record.received(request)
                        yield request

                async for response in inner(counted(), context):
                    record.answered(response)
                    yield response

        return call

    @asynccontextmanager
    async def _observed(self, method: str, context: Context) -> AsyncIterator[_Call]:
        metadata = dict(context.invocation_metadata() or ())
        proposed = metadata.get(request_id.HEADER)
        request_id.current_request_id.set(request_id.accept(proposed if isinstance(proposed, str) else None))
        name = method.rpartition("/")[2]
        record = _Call(method=name)
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        self._metrics.calls_in_progress.inc()
        try:
            yield record
        except FacetError as error:
            code = code_of(error)
            await _abort(context, error)
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:  # the boundary: the caller gets INTERNAL, the log gets the frames
            code = grpc.StatusCode.INTERNAL
            logging.getLogger("facet").exception("unexpected error")
            await _abort(context, error)
        finally:
            duration_s = time.perf_counter() - started
            self._metrics.calls_in_progress.dec()
            self._metrics.calls.labels(name, code.name).inc()
            self._metrics.call_seconds.labels(name).observe(duration_s)
            _log.info(
                "call",
                extra={
                    "fields": {
                        "method": record.method,
                        "code": code.name,
                        "duration_s": round(duration_s, 4),
                        "items": record.items,
                        "request_bytes": record.request_bytes,
                        "response_bytes": record.response_bytes,
                    }
                },
            )


async def _abort(context: Context, error: Exception) -> None:
    status = to_status(error)
    codes = {code.value[0]: code for code in grpc.StatusCode}
    await context.abort(codes[status.code], status.message, ((DETAILS_KEY, status.SerializeToString()),))
