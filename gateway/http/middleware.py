"""Around every HTTP request: request id, security headers, metrics, access log, and the last catch for faults."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http import problems, security_headers
from gateway.http.admission import REFUSED
from gateway.http.draining import Draining
from gateway.http.paths import has_control_character
from gateway.identity.caller import Caller
from services.chassis.errors import InvalidRequest
from services.chassis.process.metrics import TierMetrics
from services.chassis.rpc import request_id

_log = logging.getLogger("facet.access")

CLIENT_LEFT = 499  # nginx's code for a client that closed the connection before the answer; never sent, only logged
PROBES = ("/healthz", "/health", "/readyz", "/ready")
"""Asked every few seconds: not counted, and logged at DEBUG alone."""
UNMATCHED = "unmatched"
"""In place of a route, of a request that reached none."""


async def _refuse_path(scope: Scope, receive: Receive, send: Send) -> None:
    error = InvalidRequest("the path holds a control character, such as a line break (%0A); leave it out")
    await problems.of_error(error)(scope, receive, send)


class RequestMiddleware:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: TierMetrics, draining: Draining) -> None:
        self._app = app
        self._metrics = metrics
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # answered as GET is; the server leaves the body out by its own scope
            scope = {**scope, "method": "GET"}
        scope.setdefault("state", {})
        current = request_id.accept(Headers(scope=scope).get(request_id.HEADER))
        request_id.current_request_id.set(current)
        started = time.perf_counter()
        status, request_bytes, response_bytes = 0, 0, 0

        async def counting_receive() -> Message:
            nonlocal request_bytes
            message = await receive()
            request_bytes += len(message.get("body", b""))
            return message

        async def finishing_send(message: Message) -> None:
            nonlocal status, response_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                security_headers.add(headers, scope, current)
                if self._draining.begun:
                    headers["Connection"] = "close"
            response_bytes += len(message.get("body", b""))
            await send(message)

        self._metrics.calls_in_progress.inc()
        try:
            app = _refuse_path if has_control_character(scope["path"]) else self._app
            await app(scope, counting_receive, finishing_send)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception:
            logging.getLogger("facet").exception("unexpected error")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
        finally:
            duration_s = time.perf_counter() - started
            route = route_of(scope, status)
            audited = _audited(scope)
            self._metrics.calls_in_progress.dec()
            if route not in PROBES:
                self._metrics.calls.labels(route, str(int(status))).inc()
                self._metrics.call_seconds.labels(route).observe(duration_s)
            quiet = route in PROBES or (scope["state"].get(REFUSED) and not audited)
            _log.log(
                logging.DEBUG if quiet else logging.INFO,
                "request",
                extra={
                    "fields": {
                        **_caller(scope),
                        **audited,
                        "method": f"{method} {route}",
                        "code": int(status),
                        "duration_s": round(duration_s, 4),
                        "request_bytes": request_bytes,
                        "response_bytes": response_bytes,
                    }
                },
            )


def log_shows_refusals() -> bool:
    """Whether each has a line of its own in the access log."""
    return _log.isEnabledFor(logging.DEBUG)


def _caller(scope: Scope) -> dict[str, str]:
    """Who asked, where a route wanted to know."""
    caller = scope["state"].get("caller")
    return {"caller": caller.label} if isinstance(caller, Caller) else {}


def _audited(scope: Scope) -> dict[str, str]:
    """Where the call stands in the audit log: noted here, too, it shows whether lines are gone from that one's end."""
    audited = scope["state"].get("audited")
    return {"audit": str(audited)} if audited is not None else {}


def route_of(scope: Scope, status: int) -> str:
    """The route's template, so that metrics have few labels and no path a client made up."""
    if isinstance(scope.get("endpoint"), StaticFiles) and status != HTTPStatus.NOT_FOUND:
        return "/static"
    return getattr(scope.get("route"), "path", UNMATCHED)
