"""Errors as RFC 9457 `application/problem+json`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from facet_client.api import PROBLEM_TYPE, Problem
from gateway.http.paths import what_is_near
from services.chassis import errors
from services.chassis.errors import FacetError, InvalidRequest
from services.chassis.rpc.request_id import current_request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class _Kind:
    status: HTTPStatus
    title: str


_KINDS: dict[type[FacetError], _Kind] = {
    errors.InvalidRequest: _Kind(HTTPStatus.BAD_REQUEST, "A parameter is wrong"),
    errors.InvalidPicture: _Kind(HTTPStatus.BAD_REQUEST, "The picture cannot be used"),
    errors.UnsupportedFormat: _Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Not an accepted file format"),
    errors.TooLarge: _Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The picture is too large"),
    errors.Overloaded: _Kind(HTTPStatus.TOO_MANY_REQUESTS, "Too busy"),
    errors.LimitReached: _Kind(HTTPStatus.TOO_MANY_REQUESTS, "The caller's limit is reached"),
    errors.Unauthenticated: _Kind(HTTPStatus.UNAUTHORIZED, "A key is needed"),
    errors.InvalidCredential: _Kind(HTTPStatus.UNAUTHORIZED, "The key is not accepted"),
    errors.Forbidden: _Kind(HTTPStatus.FORBIDDEN, "The key does not allow this"),
    errors.NotReady: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready"),
    errors.DeadlinePassed: _Kind(HTTPStatus.GATEWAY_TIMEOUT, "Took too long"),
    errors.TooSlow: _Kind(HTTPStatus.REQUEST_TIMEOUT, "The picture arrived too slowly"),
    errors.StillRecognisable: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "A face is still recognisable"),
}
_RETRIED = (errors.Overloaded, errors.NotReady)
_CHALLENGES: dict[type[FacetError], str] = {  # RFC 6750, section 3
    errors.Unauthenticated: 'Bearer realm="facet"',
    errors.InvalidCredential: 'Bearer realm="facet", error="invalid_token"',
    errors.Forbidden: 'Bearer realm="facet", error="insufficient_scope"',
}

_Documented = dict[int | str, dict[str, object]]


def _documented(*kinds: _Kind) -> _Documented:
    return {
        int(kind.status): {"description": kind.title, "model": Problem, "content": {MEDIA_TYPE: {}}} for kind in kinds
    }


CHECKED = _documented(_KINDS[errors.StillRecognisable])
"""The error response of a route that checks what it answers."""
DOCUMENTED = {status: told for status, told in _documented(*reversed(_KINDS.values())).items() if status not in CHECKED}
"""The error responses that every picture route documents."""


def of_error(error: FacetError) -> Response:
    """The problem of a domain error."""
    kind = next(_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS)
    headers = {}
    if isinstance(error, _RETRIED):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s or RETRY_AFTER_S))
    if challenge := _CHALLENGES.get(type(error)):
        headers["WWW-Authenticate"] = challenge
    return _response(error.reason, kind.title, kind.status, str(error), headers)


def of_fault() -> Response:
    """The problem of a fault of ours: no detail but the id to look for in the log."""
    return _response("INTERNAL", "Internal error", HTTPStatus.INTERNAL_SERVER_ERROR, "The log has more.", {})


def handle_errors(app: FastAPI) -> None:
    """Makes every error of the application a problem."""

    async def domain(_request: Request, error: Exception) -> Response:
        assert isinstance(error, FacetError)  # noqa: S101  (for the type checker)
        return of_error(error)

    async def validation(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        first = error.errors()[0]
        name = first["loc"][-1] if first["loc"] else "request"
        reason = "unknown parameter" if first["type"] == "extra_forbidden" else first["msg"]
        return of_error(InvalidRequest(f"{name}: {reason}"))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        detail = str(error.detail)
        if status is HTTPStatus.NOT_FOUND:
            detail = what_is_near(request.scope["path"], app.routes)
        elif status is HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = set(headers["Allow"].split(", "))
            allowed |= {"HEAD"} if "GET" in allowed else set()  # `middleware.py` answers it
            headers["Allow"] = ", ".join(sorted(allowed))
            detail = f"this path takes {' and '.join(sorted(allowed))} alone"
        return _response(status.name, status.phrase, status, detail, headers)

    async def fault(_request: Request, _error: Exception) -> Response:
        return of_fault()

    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(FacetError, domain)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def _response(reason: str, title: str, status: HTTPStatus, detail: str, headers: dict[str, str]) -> Response:
    problem = Problem(
        type=f"{PROBLEM_TYPE}{reason}",
        title=title,
        status=status,
        detail=detail,
        request_id=current_request_id.get(),
    )
    return Response(problem.model_dump_json(), status, headers, MEDIA_TYPE)
