"""A span around every call under `/v1`; the tiers' spans lie below it."""

from __future__ import annotations

from http import HTTPStatus

from opentelemetry.trace import Span, SpanKind
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.call_record import record_of
from gateway.http.middleware import route_of
from services.chassis.process import tracing
from services.chassis.rpc.request_id import current_request_id

TRACED_PREFIX = "/v1/"


class TracingMiddleware:
    """Inside whatever makes the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or not scope["path"].startswith(TRACED_PREFIX):
            await self._app(scope, receive, send)
            return
        parent = Headers(scope=scope).get(tracing.TRACEPARENT, "")
        with tracing.span(scope["method"], kind=SpanKind.SERVER, parent=parent) as span:

            async def telling_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _tell(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, telling_send)


def _tell(span: Span, scope: Scope, status: int) -> None:
    route = route_of(scope, status)
    span.update_name(f"{scope['method']} {route}")
    record = record_of(scope)
    counts = {"facet.faces_found": record.faces_found, "facet.faces_hidden": record.faces_hidden}
    span.set_attributes(
        {
            "facet.request_id": current_request_id.get(),
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "facet.models": " ".join(record.models),
            **{name: count for name, count in counts.items() if count is not None},
        }
    )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        tracing.fail(span, HTTPStatus(status).name)
