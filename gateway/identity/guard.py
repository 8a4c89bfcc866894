"""Lets callers in at the routes, before anything but a request's headers is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import Request, Security, params
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from prometheus_client import Counter

from gateway.identity.authenticator import Authenticator
from gateway.identity.caller import Caller, Scope
from gateway.identity.limits import Limits
from services.chassis.errors import Forbidden, InvalidCredential, LimitReached, Unauthenticated
from services.chassis.process.metrics import TierMetrics

_REFUSALS = (Unauthenticated, InvalidCredential, Forbidden, LimitReached)


class _AuthorizationHeader(SecurityBase):
    """The header, for whoever knows callers to judge; OpenAPI calls it an HTTP bearer scheme."""

    def __init__(self) -> None:
        self.scheme_name = "credential"
        self.model = HTTPBearer(description="An API key or an OIDC access token, if this server requires one.")

    async def __call__(self, request: Request) -> str | None:
        """The header; None also where there are several, as each reader might take another."""
        sent = request.headers.getlist("authorization")
        return sent[0] if len(sent) == 1 else None


_HEADER = _AuthorizationHeader()


class Guard:
    """What a route asks of its callers: `dependencies=[guard.needs(Scope.DETECT)]`."""

    def __init__(self, authenticator: Authenticator, limits: Limits, metrics: TierMetrics) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._refusals = Counter(
            f"{metrics.prefix}_identity_refusals",
            "Requests rejected by authentication or rate limits, by reason.",
            ("reason",),
            registry=metrics.registry,
        )
        for kind in _REFUSALS:
            self._refusals.labels(kind.reason)

    def needs(self, *scopes: Scope) -> params.Security:
        """The dependency of a route for callers with all these scopes; without any, for every known caller.

        It leaves the caller at `request.state.caller`, where the access log finds it.
        """
        dependency: params.Security = Security(self._admit, scopes=scopes)
        return dependency

    async def _admit(
        self, request: Request, needed: SecurityScopes, authorization: Annotated[str | None, Security(_HEADER)]
    ) -> AsyncIterator[None]:
        with ExitStack() as admission:
            try:
                caller = await self._authenticator.authenticate(authorization)
                request.state.caller = caller
                _check(caller, needed.scopes)
                admission.enter_context(self._limits.admitted(caller))
            except _REFUSALS as refusal:
                self._refusals.labels(refusal.reason).inc()
                raise
            yield


def _check(caller: Caller, needed: list[str]) -> None:
    missing = [scope for scope in needed if scope not in caller.scopes]
    if missing:
        raise Forbidden(f"this needs the scope {' and '.join(missing)}, which your key or token does not have")
