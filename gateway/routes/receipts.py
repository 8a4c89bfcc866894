"""`/v1/receipt-key`: what checks the signature of a receipt."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from gateway.anonymize.flow import Anonymization
from gateway.http import problems

MEDIA_TYPE = "application/x-pem-file"
_KEY: dict[int | str, dict[str, Any]] = {
    200: {"description": "The public key.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    503: problems.DOCUMENTED[503],
}


def receipt_routes(anonymization: Anonymization) -> APIRouter:
    """The routes, with the key that `anonymization` signs with."""
    router = APIRouter(prefix="/v1", tags=["receipts"])

    @router.get("/receipt-key", response_class=Response, responses=_KEY)
    async def receipt_key() -> Response:
        """Answers the public key that receipts are signed with, PEM."""
        return Response(anonymization.receipt_key().public_pem(), media_type=MEDIA_TYPE)

    return router
