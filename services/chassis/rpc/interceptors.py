"""Around every call, unary or streaming: request id, metrics, access log, and errors turned into statuses."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from opentelemetry.trace import Span, SpanKind

from services.chassis.errors import DeadlinePassed, FacetError, InvalidRequest, TooSlow
from services.chassis.process import tracing
from services.chassis.process.metrics import TierMetrics
from services.chassis.rpc import replica, request_id
from services.chassis.rpc.parsing import Parser
from services.chassis.rpc.status import DETAILS_KEY, code_of, to_status
from services.chassis.rpc.streams import Unreadable

_log = logging.getLogger("facet.access")

Context = grpc.aio.ServicerContext[Any, Any]
HEALTH_PREFIX = "/grpc.health.v1."
MOST_S = 300.0
REQUEST_S = 60.0
"""A message of the greatest size then comes at a megabyte a second."""


class NoRequest(InvalidRequest):
    """A unary call ended without a request."""


@dataclass(slots=True)
class _LoggedCall:
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

    Requests are taken and parsed in here: grpc itself waits for one without end, and answers one that cannot be parsed
    with UNKNOWN, logged as a fault of ours. So to grpc every handler is one of streams, which look the same on the
    wire. Calls of the health service are neither counted nor logged, as probes make one every few seconds.
    """

    def __init__(self, metrics: TierMetrics, *, most_s: float = MOST_S, request_s: float = REQUEST_S) -> None:
        """Counts in these metrics.

        Args:
            metrics: The tier's.
            most_s: How long a call may be worked on, whatever its own deadline.
            request_s: How long the request of a unary call may take to arrive.
        """
        self._metrics = metrics
        self._most_s = most_s
        self._request_s = request_s
        # One thread: a second would only wait, as parsing needs the interpreter.
        self._executor = ThreadPoolExecutor(1, "parser")

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
            call = self._unlogged(inner, parse) if unlogged else self._unary(method, inner, parse)
            return grpc.stream_unary_rpc_method_handler(call, **serialization)
        if handler.unary_stream is not None and unlogged:  # Watch, a coroutine that writes its answers to the context
            call = self._unlogged(handler.unary_stream, parse)
            return grpc.stream_stream_rpc_method_handler(call, **serialization)
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
        async def call(contents: AsyncIterator[bytes], context: Context) -> Message:
            arrived = await self._only_one_of(contents)
            if isinstance(arrived, NoRequest):  # the client left mostly: nothing has happened yet
                await _abort(context, arrived)
            async with self._observed(method, context) as record, self._bounded():
                content = _or_raise(arrived)
                record.received(content)
                metadata = dict(context.invocation_metadata() or ())
                if replica.ASKS in metadata:
                    with _ended_under_it():
                        await context.send_initial_metadata(((replica.KEY, replica.replica_id()),))
                else:
                    replica.check_attempts(metadata)
                response: Message = await inner(await parse(content), context)
                record.answered(response)
                return response

        return call

    def _stream(self, method: str, inner: Any, parse: Parser) -> Any:  # noqa: ANN401
        async def call(contents: AsyncIterator[bytes], context: Context) -> None:
            async with self._observed(method, context) as record, self._bounded():

                async def counted() -> AsyncIterator[Message | Unreadable]:
                    async for content in contents:
                        record.received(content)
                        try:
                            item: Message | Unreadable = await parse(content)
                        except InvalidRequest as error:
                            item = Unreadable(error)
                        yield item

                # Written in here: the bound holds for an answer that is not taken as well.
                async with aclosing(inner(counted(), context)) as responses:
                    async for response in responses:
                        record.answered(response)
                        with _ended_under_it():
                            await context.write(response)

        return call

    def _unlogged(self, inner: Any, parse: Parser) -> Any:  # noqa: ANN401
        """The handler of one request, with nothing around it but the taking and parsing."""

        async def call(contents: AsyncIterator[bytes], context: Context) -> Any:  # noqa: ANN401
            try:
                request = await parse(_or_raise(await self._only_one_of(contents)))
            except FacetError as error:
                await _abort(context, error)
            context.set_trailing_metadata(((replica.KEY, replica.replica_id()),))
            with _ended_under_it():
                return await inner(request, context)

        return call

    async def _only_one_of(self, contents: AsyncIterator[bytes]) -> bytes | FacetError:
        """The request of a unary call, or why there is none."""
        try:
            async with asyncio.timeout(self._request_s):
                return await anext(contents)
        except TimeoutError:
            return TooSlow(f"the request did not arrive within {self._request_s:g} s; send it whole, without a pause")
        except StopAsyncIteration:
            return NoRequest("the call has no message; send one request")

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """Ends what takes longer than any call may.

        Raises:
            DeadlinePassed: It did.
        """
        limit = asyncio.timeout(self._most_s)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlinePassed(
                f"the call took longer than {self._most_s:g} s, the limit here (FACET_MAX_CALL_S)"
            ) from error

    @asynccontextmanager
    async def _observed(self, method: str, context: Context) -> AsyncIterator[_LoggedCall]:
        metadata = dict(context.invocation_metadata() or ())
        proposed = metadata.get(request_id.HEADER)
        request_id.current_request_id.set(request_id.accept(proposed if isinstance(proposed, str) else None))
        traceparent = metadata.get(tracing.TRACEPARENT)
        parent = traceparent if isinstance(traceparent, str) else ""
        with tracing.span(method.removeprefix("/"), kind=SpanKind.SERVER, parent=parent) as span:
            async with self._recorded(method.rpartition("/")[2], context, span) as record:
                yield record

    @asynccontextmanager
    async def _recorded(self, name: str, context: Context, span: Span) -> AsyncIterator[_LoggedCall]:
        record = _LoggedCall(method=name)
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
            span.set_attributes(
                {
                    "facet.request_id": request_id.current_request_id.get(),
                    "rpc.grpc.status_code": int(code.value[0]),
                    "facet.request_bytes": record.request_bytes,
                    "facet.response_bytes": record.response_bytes,
                }
            )
            if code is not grpc.StatusCode.OK:
                tracing.fail(span, code.name)
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


def _or_raise(arrived: bytes | FacetError) -> bytes:
    if isinstance(arrived, FacetError):
        raise arrived
    return arrived


async def _abort(context: Context, error: Exception) -> NoReturn:
    status = to_status(error)
    codes = {code.value[0]: code for code in grpc.StatusCode}
    with _ended_under_it():
        await context.abort(codes[status.code], status.message, ((DETAILS_KEY, status.SerializeToString()),))


@contextmanager
def _ended_under_it() -> Iterator[None]:
    """Around what is sent: that a call has ended meanwhile is no fault of ours, whether grpc says so first or fails."""
    try:
        yield
    except grpc.aio.InternalError as error:
        raise asyncio.CancelledError from error
