"""Certificates between the gateway and the tiers that end under load: renewed in time, and too late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.faults.callers import Callers
from tests.faults.questions import Questions, examined
from tests.faults.replicas import seconds_until_used
from tests.faults.table import Tell
from tests.scaling.fleet import TIERS, Fleet
from tests.support.certificates import CLIENT, SERVER, Authority, MountedSecret, Secret

AGE_S = 1.0
"""How long a connection is kept: there are always handshakes, as there are in hours of a real deployment."""
LIFETIME_S = 6
RENEWED_AFTER_S = 3
MISSED_S = 5
BACK_S = 5.0
"""After this a renewed certificate is used."""
REQUESTS = 100
AUTHORITY = Authority()

pytestmark = pytest.mark.timeout(300)


def tiers_certificate(lifetime_s: float = 3600) -> Secret:
    return AUTHORITY.issue(SERVER, names=[f"{tier}.test" for tier in TIERS], lifetime_s=lifetime_s)


def gateways_certificate(lifetime_s: float = 3600) -> Secret:
    return AUTHORITY.issue(CLIENT, names=["gateway"], lifetime_s=lifetime_s)


class Secured:
    """Two replicas of each tier and a gateway, and the Secrets that they mount."""

    def __init__(self, fleet: Fleet, tiers: MountedSecret, gateway: MountedSecret) -> None:
        self.fleet = fleet
        self.tiers = tiers
        self.gateway = gateway
        self.url = fleet.start("gateway", **gateway.settings).url


@pytest.fixture(scope="module")
def secured(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:  # noqa: ARG001  (may skip)
    folder = tmp_path_factory.mktemp("tls")
    tiers = MountedSecret(folder / "tiers", tiers_certificate())
    gateway = MountedSecret(folder / "gateway", gateways_certificate())
    with Fleet(replicas=2, gateways=0, **tiers.settings, FACET_MAX_CONNECTION_AGE_S=str(AGE_S)) as running:
        yield Secured(running, tiers, gateway)


@pytest.fixture(scope="module")
def secured_questions(secured: Secured, astronaut: Image.Image) -> Questions:
    return asyncio.run(examined(secured.url, astronaut))


async def test_certificates_renewed_in_time_cost_no_request(
    secured: Secured, secured_questions: Questions, tell: Tell
) -> None:
    secured.tiers.swap(tiers_certificate(LIFETIME_S))
    secured.gateway.swap(gateways_certificate(LIFETIME_S))
    async with Callers(secured.url, secured_questions.in_turn()) as callers:
        started_s = time.monotonic()
        await asyncio.sleep(RENEWED_AFTER_S)
        secured.gateway.swap(gateways_certificate())
        secured.tiers.swap(tiers_certificate())
        await asyncio.sleep(LIFETIME_S)
        await callers.more(REQUESTS)
    tell("certificates of all end, renewed in time", callers, since_s=started_s, back_s=0)
    assert callers.dishonest() == []
    assert callers.refused() == []


async def test_tiers_whose_certificate_has_ended_are_not_used_until_it_is_renewed(
    secured: Secured, secured_questions: Questions, tell: Tell
) -> None:
    secured.tiers.swap(tiers_certificate(RENEWED_AFTER_S))
    async with Callers(secured.url, secured_questions.in_turn()) as callers:
        started_s = time.monotonic()
        await asyncio.sleep(RENEWED_AFTER_S + MISSED_S)
        secured.tiers.swap(tiers_certificate())
        back_s = await after_renewal(secured, callers)
    tell("certificate of the tiers ends, renewed late", callers, since_s=started_s, back_s=back_s)
    assert {one.status for one in callers.refused()} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert any("Its certificate is not accepted: certificate has expired" in one.detail for one in callers.refused())


async def test_gateway_whose_certificate_has_ended_says_so_until_it_is_renewed(
    secured: Secured, secured_questions: Questions, tell: Tell
) -> None:
    secured.gateway.swap(gateways_certificate(RENEWED_AFTER_S))
    async with Callers(secured.url, secured_questions.in_turn()) as callers:
        started_s = time.monotonic()
        await asyncio.sleep(RENEWED_AFTER_S + MISSED_S)
        secured.gateway.swap(gateways_certificate())
        back_s = await after_renewal(secured, callers)
    tell("certificate of the gateway ends, renewed late", callers, since_s=started_s, back_s=back_s)
    assert {one.status for one in callers.refused()} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert [one.detail for one in callers.refused() if "The gateway's own certificate" not in one.detail] == []


async def after_renewal(secured: Secured, callers: Callers) -> float:
    """When all replicas bear load again, and nothing fails any more."""
    renewed_s = time.monotonic()
    back_s = await seconds_until_used(*(replica for tier in TIERS for replica in secured.fleet.members[tier]))
    await callers.more(REQUESTS)
    await asyncio.sleep(max(0.0, renewed_s + BACK_S - time.monotonic()))
    await callers.more(REQUESTS)
    assert callers.dishonest() == []
    assert callers.refused(after_s=renewed_s + BACK_S) == []
    return back_s
