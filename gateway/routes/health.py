"""`/healthz` and `/readyz`: whether the gateway lives, and whether pictures can be anonymized."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from facet_client.api import NOT_READY, READY, ReadyAnswer, TierAnswer
from gateway.http.draining import Draining
from gateway.tiers.channels import Tiers

NEEDED = ("detector", "anonymizer")
"""Without the embedder, anonymizing works all the same."""


class AliveAnswer(BaseModel):
    """The process lives."""

    status: str = "alive"


def health_routes(tiers: Tiers, draining: Draining) -> APIRouter:
    """The routes; `/health` and `/ready` answer the same."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    @router.get("/health", include_in_schema=False)
    async def healthz() -> AliveAnswer:
        """Alive. Asks no tier."""
        return AliveAnswer()

    @router.get("/readyz", responses={503: {"model": ReadyAnswer, "description": "A required tier is not serving."}})
    @router.get("/ready", include_in_schema=False)
    async def readyz(response: Response) -> ReadyAnswer:
        """Ready to anonymize, with the state of each tier."""
        states = await tiers.states()
        ready = not draining.begun and all(states[name].ready for name in NEEDED)
        if not ready:
            response.status_code = 503
        return ReadyAnswer(
            status=_word(ready),
            tiers={name: TierAnswer(status=_word(state.ready), detail=state.detail) for name, state in states.items()},
        )

    return router


def _word(ready: bool) -> str:  # noqa: FBT001
    return READY if ready else NOT_READY
