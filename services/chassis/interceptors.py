"""Around every call, unary or streaming: request id, metrics, access log, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message

from services.chassis import replica, request_id, tracing
from services.chassis.errors import FacetError, InvalidRequest
from services.chassis.metrics import TierMetrics
from services.chassis.parsing import Parser
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

    def received(self, content: bytes) -> None:
        self.request_bytes += len(content)

    def answered(self, message: Message) -> None:
        self.response_bytes += message.ByteSize()
        self.items += 1


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every unary and streaming handler.

    Requests are parsed in here: grpc itself answers one that cannot be parsed with UNKNOWN, and logs it as a fault of
    ours. Calls of the health service are neither counted nor logged, as probes make one every few seconds.
    """

    def __init__(self, metrics: TierMetrics) -> None:
        self._metrics = metrics
        self._executor = ThreadPoolExecutor(
            1, "parser"
        )  # a second thread would only wait: parsing needs the interpreter

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler, wrapped."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        parse, serialization = self._parser(method, handler), {"response_serializer": handler.response_serializer}
        unlogged = method.startswith(HEALTH_PREFIX)
        if handler.unary_unary is not None:
            inner = handler.unary_unary
            call = _parsing(inner, parse) if unlogged else self._unary(method, inner, parse)
            return grpc.unary_unary_rpc_method_handler(call, **serialization)
        if handler.unary_stream is not None and unlogged:  # Watch, a coroutine that writes its answers to the context
            return grpc.unary_stream_rpc_method_handler(_parsing(handler.unary_stream, parse), **serialization)
        if handler.stream_stream is not None:
            call = self._stream(method, handler.stream_stream, parse)
            return grpc.stream_stream_rpc_method_handler(call, **serialization)
        return handler

    def _parser(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> Parser:
        inner = handler.request_deserializer
        assert inner is not None  # noqa: S101  (generated handlers have one)
        service, _, name = method.removeprefix("/").partition("/")
        kind = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].input_type
        return Parser(inner, kind, self._executor)

    def _unary(self, method: str, inner: Any, parse: Parser) -> Any:  # noqa: ANN401  (grpc's own types end here)
        async def call(content: bytes, context: Context) -> Message:
            async with self._observed(method, context) as record:
                record.received(content)
                metadata = dict(context.invocation_metadata() or ())
                if replica.ASKS in metadata:
                    await context.send_initial_metadata(((replica.KEY, replica.replica_id()),))
                else:
                    replica.check_attempts(metadata)
                response: Message = await inner(await parse(content), context)
                record.answered(response)
                return response

        return call

    def _stream(self, method: str, inner: Any, parse: Parser) -> Any:  # noqa: ANN401
        async def call(contents: AsyncIterator[bytes], context: Context) -> AsyncIterator[Message]:
            async with self._observed(method, context) as record:

                async def counted() -> AsyncIterator[Message]:
                    async for content in contents:
                        record.received(content)
                        yield await parse(content)

                async for response in inner(counted(), context):
                    record.answered(response)
                    yield response

        return call

    @asynccontextmanager
    async def _observed(self, method: str, context: Context) -> AsyncIterator[_Call]:
        metadata = dict(context.invocation_metadata() or ())
        proposed = metadata.get(request_id.HEADER)
        request_id.current_request_id.set(request_id.accept(proposed if isinstance(proposed, str) else None))
        traceparent = metadata.get(tracing.TRACEPARENT)
        parent = traceparent if isinstance(traceparent, str) else ""
        with tracing.span(method.removeprefix("/"), kind=tracing.Kind.SERVER, parent=parent) as span:
            async with self._recorded(method.rpartition("/")[2], context, span) as record:
                yield record

    @asynccontextmanager
    async def _recorded(self, name: str, context: Context, span: tracing.Span) -> AsyncIterator[_Call]:
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
            span.add(
                {
                    "facet.request_id": request_id.current_request_id.get(),
                    "rpc.grpc.status_code": int(code.value[0]),
                    "facet.request_bytes": record.request_bytes,
                    "facet.response_bytes": record.response_bytes,
                }
            )
            if code is not grpc.StatusCode.OK:
                span.fail(code.name)
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


def _parsing(inner: Any, parse: Parser) -> Any:  # noqa: ANN401
    """The handler of one request, with nothing around it but the parsing."""

    async def call(content: bytes, context: Context) -> Any:  # noqa: ANN401
        try:
            request = await parse(content)
        except InvalidRequest as error:
            return await _abort(context, error)
        context.set_trailing_metadata(((replica.KEY, replica.replica_id()),))
        return await inner(request, context)

    return call


async def _abort(context: Context, error: Exception) -> None:
    status = to_status(error)
    codes = {code.value[0]: code for code in grpc.StatusCode}
    await context.abort(codes[status.code], status.message, ((DETAILS_KEY, status.SerializeToString()),))
