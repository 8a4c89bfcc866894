"""The largest requests there may be, and larger, over and over: others are answered meanwhile, and no replica ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.faults.callers import ANSWER_TIMEOUT_S, Callers
from tests.faults.questions import Questions
from tests.faults.replicas import seconds_until_used
from tests.faults.table import Tell
from tests.hostile.boundaries import crowd, document, tall_picture
from tests.scaling.fleet import TIERS, Fleet

POISONOUS_REQUESTS = 3
"""Of each kind, one after the other."""
_HONEST = {
    httpx.codes.OK,
    httpx.codes.REQUEST_ENTITY_TOO_LARGE,
    httpx.codes.SERVICE_UNAVAILABLE,
    httpx.codes.GATEWAY_TIMEOUT,
}

pytestmark = pytest.mark.timeout(600)


async def test_poisonous_requests_cost_others_nothing(fleet: Fleet, questions: Questions, tell: Tell) -> None:
    gateway = fleet.members["gateway"][0].url
    replicas = [replica for tier in TIERS for replica in fleet.members[tier]]
    people = crowd(100, 24)
    heights = [(0.0, 0.0, 16.0, 65_000.0 - index) for index in range(10_000)]
    spots = [(index % 240 * 10.0, index // 240 * 10.0) for index in range(10_000)]
    specks = [(x, y, x + 0.1, y + 0.1) for x, y in spots]
    poison: list[dict[str, Any]] = [
        {"files": {"image": tall_picture(), "faces": document(16, 65_000, heights)}},
        {"files": {"image": people, "faces": document(2400, 2400, specks)}, "params": {"margin": 0, "verify": True}},
        {"content": people, "params": {"recall": "max"}},
    ]
    async with Callers(gateway, questions.in_turn()) as callers:
        poisoned_s = time.monotonic()
        async with httpx.AsyncClient(base_url=gateway, timeout=ANSWER_TIMEOUT_S, trust_env=False) as attacker:

            async def attack(request: dict[str, Any]) -> None:
                for _ in range(POISONOUS_REQUESTS):
                    headers = {"X-Facet-Timeout": "10"}
                    answer = await attacker.post("/v1/anonymize", headers=headers, **request)
                    assert answer.status_code in _HONEST, answer.text

            await asyncio.gather(*map(attack, poison))
        back_s = await seconds_until_used(*replicas)
    tell("the largest requests there may be", callers, since_s=poisoned_s, back_s=back_s)
    assert [replica.process.poll() for replica in replicas] == [None] * len(replicas)
    assert callers.dishonest() == []
    assert callers.refused() == []
