"""The gateway's problems (RFC 9457) as the client's errors."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from pydantic import ValidationError

from facet_client.api import PROBLEM_TYPE, Problem
from facet_client.errors import ServiceError, UnexpectedAnswerError


def error_of(response: httpx.Response) -> ServiceError:
    """The error that a response stands for, with its status, request id and time to wait."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        return unexpected(response)
    kind = _KINDS.get(problem.type.removeprefix(PROBLEM_TYPE))
    error = kind(problem.detail) if kind else unexpected(response, problem.detail)
    error.status = response.status_code
    error.request_id = problem.request_id
    error.retry_after_s = _seconds(response.headers.get("retry-after", ""))
    return error


def unexpected(response: httpx.Response, detail: str = "is this a gateway of Facet?") -> UnexpectedAnswerError:
    """The error for an answer that the protocol does not know."""
    where = response.request.url.copy_with(query=None)
    request_id = response.headers.get("x-request-id", "")
    in_the_log = f" (request {request_id})" if request_id else ""
    error = UnexpectedAnswerError(f"{where} answered {response.status_code}: {detail}{in_the_log}")
    error.status = response.status_code
    error.request_id = request_id
    return error


def _seconds(retry_after: str) -> float | None:
    """Of the header Retry-After, whose other form, a date, no gateway sends."""
    return float(retry_after) if retry_after.isdecimal() else None


def _subclasses(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


_KINDS = {kind.reason: kind for kind in _subclasses(ServiceError)}
