"""The gateway's HTTP application: its routes and what happens around them."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from gateway.anonymize.flow import Anonymization
from gateway.anonymize.receipts import ReceiptKey
from gateway.audit.log import AuditLog
from gateway.audit.middleware import AuditMiddleware
from gateway.http import problems
from gateway.http.admission import Admission, AdmissionMiddleware, Pace
from gateway.http.draining import Draining
from gateway.http.middleware import RequestMiddleware
from gateway.http.traces import TracingMiddleware
from gateway.identity.authenticator import Authenticator
from gateway.identity.guard import Guard
from gateway.identity.limits import Limits
from gateway.routes.health import health_routes
from gateway.routes.page import add_page
from gateway.routes.pictures import picture_routes
from gateway.routes.receipts import receipt_routes
from gateway.settings import GatewaySettings
from gateway.tiers.channels import Tiers
from gateway.tiers.pipeline import Pipeline
from services.chassis.process import tracing
from services.chassis.process.metrics import TierMetrics
from services.chassis.version import facet_version

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own, which the environment could switch on, records bodies and messages; `traces.py` is what Facet has."""


def create_app(  # noqa: PLR0913  (each is a part of it)
    settings: GatewaySettings,
    tiers: Tiers,
    metrics: TierMetrics,
    draining: Draining,
    *,
    admission: Admission,
    authenticator: Authenticator,
    key: ReceiptKey | None,
    audit: AuditLog | None,
) -> ASGIApp:
    """The application, served by `tiers`.

    `admission` lets them in, `authenticator` knows its callers, `key` signs receipts, and every picture call is entered
    in `audit`.
    """
    guard = Guard(authenticator, Limits(), metrics)
    pipeline = Pipeline(tiers)
    anonymization = Anonymization(pipeline, key)
    app = FastAPI(
        title="Facet",
        version=facet_version(),
        description=(
            "Finds faces in pictures, makes them unrecognisable, or recognises people. Pictures are processed in "
            "memory and discarded with the response."
        ),
        telemetry=_NO_TELEMETRY,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect repeats the caller's Host, over http behind a proxy that ends TLS
    )
    app.include_router(picture_routes(pipeline, anonymization, guard, settings))
    app.include_router(receipt_routes(anonymization))
    app.include_router(health_routes(tiers, draining))
    add_page(app)
    problems.handle_errors(app)
    admitted: ASGIApp = AdmissionMiddleware(app, admission, Pace())
    audited = AuditMiddleware(admitted, audit) if audit is not None else admitted
    traced = TracingMiddleware(audited) if tracing.is_on() else audited
    return RequestMiddleware(traced, metrics, draining)
