"""Around every picture call: it is answered once it stands in the audit log, and not at all where it cannot."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facet_client.api import Problem
from gateway.audit.chain import Anchor, Value
from gateway.audit.log import AuditLog
from gateway.http import problems
from gateway.http.call_record import record_of
from gateway.http.middleware import CLIENT_LEFT
from gateway.http.proxies import address_of
from gateway.identity import caller
from services.chassis.errors import NotReady
from services.chassis.rpc.request_id import current_request_id

AUDITED = {f"/v1/{scope}": str(scope) for scope in caller.Scope}
"""The calls that do something to pictures, by the path of their route: no other spelling of it leads past this."""


class AuditMiddleware:
    """Inside whatever makes the request's id, outside of whatever refuses requests.

    Which call it is, is known once the application answers: by the route that it chose, whatever the request spells.
    """

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _AuditedCall(scope)

        async def counting_receive() -> Message:
            message = await receive()
            call.request_bytes += len(message.get("body", b""))
            call.abandoned |= message["type"] == "http.disconnect"
            return message

        answer = _Answer(call, self._log, scope, receive, send)
        try:
            await self._app(scope, counting_receive, answer.send)
        except Exception:
            operation = _operation(scope)
            if operation is not None and not answer.begun:  # nobody is answered
                with suppress(NotReady):
                    await call.enter(self._log, operation, HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL")
            raise


def _operation(scope: Scope) -> str | None:
    """The call that a request is; None if none that is audited.

    A request that was refused before it was routed is told by its path: it was answered by nobody else.
    """
    if scope["method"] != "POST":
        return None
    path = str(getattr(scope.get("route"), "path", scope["path"]))
    return AUDITED.get(path)


class _AuditedCall:
    """What a line tells of one call: ids, names, counts, sizes and times."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._started_s = time.perf_counter()
        self.request_bytes = 0
        self.abandoned = False
        """Whether the client left before it was answered: whatever is answered then reaches nobody."""

    async def enter(
        self, log: AuditLog, operation: str, status: int, outcome: str, *, response_bytes: int = 0
    ) -> Anchor | None:
        """Enters the call; None where it is one of many refused ones, which are counted together.

        Raises:
            NotReady: It could not be written.
        """
        known = self._scope["state"].get("caller")
        by_somebody = isinstance(known, caller.Caller) and known.kind is not caller.CallerKind.ANONYMOUS
        record = record_of(self._scope)
        fields: Mapping[str, Value] = {
            "event": "call",
            "request_id": current_request_id.get(),
            "caller": known.label if isinstance(known, caller.Caller) else None,
            "address": address_of(self._scope),
            "operation": operation,
            "status": CLIENT_LEFT if self.abandoned else int(status),
            "outcome": "CLIENT_LEFT" if self.abandoned else outcome,
            "options": record.options,
            "faces_found": record.faces_found,
            "faces_hidden": record.faces_hidden,
            "models": record.models,
            "request_bytes": self.request_bytes,
            "response_bytes": response_bytes,
            "duration_s": round(time.perf_counter() - self._started_s, 4),
        }
        refused = status >= HTTPStatus.BAD_REQUEST
        return await (log.enter_refused(fields) if refused and not by_somebody else log.enter(fields))


class _Answer:
    """Holds an answer back until its call is entered. Every answer of an audited call is one message with its body."""

    def __init__(self, call: _AuditedCall, log: AuditLog, scope: Scope, receive: Receive, send: Send) -> None:
        self._call = call
        self._log = log
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message | None = None
        self.begun = False
        """Whether there is an answer to enter."""
        self._withheld = False

    async def send(self, message: Message) -> None:
        """Takes the next message of the application."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            self.begun = True
            operation = _operation(self._scope)
            if operation is not None:
                try:
                    anchor = await self._enter(operation, start, message)
                except NotReady as error:
                    self._withheld = True
                    await problems.of_error(error)(self._scope, self._receive, self._send)
                    return
                if anchor is not None:
                    self._scope["state"]["audited"] = anchor
            await self._send(start)
        if not self._withheld:
            await self._send(message)

    async def _enter(self, operation: str, start: Message, first: Message) -> Anchor | None:
        status: int = start["status"]
        body: bytes = first.get("body", b"")
        outcome = "OK" if status < HTTPStatus.BAD_REQUEST else _reason(start, body)
        return await self._call.enter(self._log, operation, status, outcome, response_bytes=len(body))


def _reason(start: Message, body: bytes) -> str:
    if Headers(raw=start["headers"]).get("content-type") != problems.MEDIA_TYPE:
        return HTTPStatus(start["status"]).name
    return Problem.model_validate_json(body).type.rpartition(":")[2]
