"""The gateway's HTTP application: its routes and what happens around them."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from gateway import problems
from gateway.anonymization import Anonymization
from gateway.draining import Draining
from gateway.middleware import RequestMiddleware
from gateway.pipeline import Pipeline
from gateway.receipts import ReceiptKey
from gateway.routes.health import health_routes
from gateway.routes.page import add_page
from gateway.routes.pictures import picture_routes
from gateway.routes.receipts import receipt_routes
from gateway.settings import GatewaySettings
from gateway.tiers import Tiers
from services.chassis.metrics import TierMetrics


def create_app(
    settings: GatewaySettings, tiers: Tiers, metrics: TierMetrics, draining: Draining, key: ReceiptKey | None
) -> ASGIApp:
    """The application, served by `tiers`; `key` signs receipts."""
    pipeline = Pipeline(tiers)
    anonymization = Anonymization(pipeline, key)
    app = FastAPI(
        title="Facet",
        version=version("facet"),
        description=(
            "Finds faces in pictures, makes them unrecognisable, or tells who is who. Pictures are worked on in memory "
            "and forgotten with the answer."
        ),
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(picture_routes(pipeline, anonymization, settings))
    app.include_router(receipt_routes(anonymization))
    app.include_router(health_routes(tiers, draining))
    add_page(app)
    problems.handle_errors(app)
    return RequestMiddleware(app, metrics, draining)
