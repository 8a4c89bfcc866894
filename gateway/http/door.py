"""Refusals at the connection, before the application, in two thirds of its time.

In a flood, refusals outnumber answers by far, and what they take is taken from those that were let in. The application
refuses as well (`admission.py`), in the same words: it sees whatever is no plain case, and everything where each
refusal is to be audited, traced or logged.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Scope

from gateway.http import admission, security_headers
from gateway.http.admission import Admission
from gateway.http.draining import Draining
from gateway.http.middleware import UNMATCHED
from services.chassis.process.metrics import TierMetrics
from services.chassis.rpc import request_id

_STATUS = HTTPStatus.TOO_MANY_REQUESTS
_PLACEHOLDER = "~"
"""Stands for a letter of a request's id; ids have none, and nothing else in an answer has one."""


class Door:
    """Knows what to answer to a request that is not let in."""

    def __init__(self, admission: Admission, metrics: TierMetrics, draining: Draining) -> None:
        self._admission = admission
        self._metrics = metrics
        self._draining = draining
        self._templates: dict[tuple[int, bool], list[bytes]] = {}

    def refusal(self, scope: Scope, further_headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """The whole answer, to be sent at once; None if the application is to see the request."""
        if self._draining.begun or not self._admission.refuses(scope) or self._admission.holds_up:
            return None
        started_s = time.perf_counter()
        current = request_id.accept(Headers(raw=scope["headers"]).get(request_id.HEADER))
        answer = current.encode().join(self._template(scope, len(current)))
        self._admission.note_refusal()
        self._metrics.calls.labels(UNMATCHED, str(int(_STATUS))).inc()
        self._metrics.call_seconds.labels(UNMATCHED).observe(time.perf_counter() - started_s)
        return b"HTTP/1.1 %d %b\r\n%b%b" % (_STATUS, _STATUS.phrase.encode(), _lines(further_headers), answer)

    def _template(self, scope: Scope, id_length: int) -> list[bytes]:
        """Headers and body but for the id, which stands between the pieces; kept, as most answers share one."""
        kind = (id_length, security_headers.is_for_https_alone(scope))
        if kind not in self._templates:
            placeholder = _PLACEHOLDER * id_length
            of_placeholder = request_id.current_request_id.set(placeholder)
            response = admission.refusal()
            request_id.current_request_id.reset(of_placeholder)
            security_headers.add(MutableHeaders(raw=response.raw_headers), scope, placeholder)
            whole = b"%b\r\n%b" % (_lines(response.raw_headers), bytes(response.body))
            self._templates[kind] = whole.split(placeholder.encode())
        return self._templates[kind]


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % (name.lower(), value) for name, value in headers)
