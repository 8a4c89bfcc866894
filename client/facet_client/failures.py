"""The gateway's problems (RFC 9457) as domain errors."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from pydantic import BaseModel, ValidationError

from services.chassis.errors import FacetError

_PREFIX = "urn:facet:error:"


class UnexpectedAnswer(FacetError):  # noqa: N818  (a domain word, like every error of the chassis)
    """The gateway failed, or what answers is no gateway of Facet."""

    reason = "UNEXPECTED_ANSWER"


class _Problem(BaseModel):
    type: str
    detail: str
    request_id: str = ""


def error_of(response: httpx.Response) -> FacetError:
    """The error that a response stands for, with the request id and the time to wait that it tells."""
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        return unexpected(response)
    kind = _KINDS.get(problem.type.removeprefix(_PREFIX))
    error = kind(problem.detail) if kind else unexpected(response, problem.detail)
    error.request_id = problem.request_id
    error.retry_after_s = _seconds(response.headers.get("retry-after", ""))
    return error


def unexpected(response: httpx.Response, detail: str = "is this a gateway of Facet?") -> UnexpectedAnswer:
    """What to say of an answer that the protocol does not know."""
    where = response.request.url.copy_with(query=None)
    request_id = response.headers.get("x-request-id", "")
    in_the_log = f" (request {request_id})" if request_id else ""
    error = UnexpectedAnswer(f"{where} answered {response.status_code}: {detail}{in_the_log}")
    error.request_id = request_id
    return error


def _seconds(retry_after: str) -> float | None:
    """Of the header Retry-After, whose other form, a date, no gateway sends."""
    return float(retry_after) if retry_after.isdecimal() else None


def _subclasses(kind: type[FacetError]) -> Iterator[type[FacetError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


_KINDS = {kind.reason: kind for kind in _subclasses(FacetError)}
