"""Refusals at the connection, over real sockets: in the words of the application, which sees what is no plain case."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http.admission import Admission, AdmissionMiddleware, Admitted, Pace
from gateway.http.door import Door
from gateway.http.draining import Draining
from gateway.http.middleware import RequestMiddleware
from services.chassis.process.metrics import TierMetrics
from tests.support.raw_http import TIMEOUT_S, RawClient, Served, server_context

HEAD = b"POST /v1/detect HTTP/1.1\r\nhost: example.org\r\n"
EMPTY = HEAD + b"content-length: 0\r\n\r\n"


class Unflooded(Admission):
    at_once_per_answer = 1_000_000


class Flooded(Admission):
    """Refuses one request at once."""

    at_once_per_answer = 1
    hold_up_s = 0.1


class Service:
    """A gateway of one place, with a door or without, whose application answers 200 when a method is let go."""

    def __init__(self, *, door: bool, flooded: bool = False, context: ssl.SSLContext | None = None) -> None:
        self.let_go = {"GET": asyncio.Event(), "POST": asyncio.Event()}
        self.seen = 0
        """How many requests the application saw."""
        self.draining = Draining()
        self._has_seen = asyncio.Event()
        self.metrics = TierMetrics("test")
        most = Admitted(requests=1, upload_bytes=1 << 20, largest_bytes=1 << 20, held_up=10)
        admission = (Flooded if flooded else Unflooded)(most, self.metrics)
        inside = AdmissionMiddleware(self._answer, admission, Pace())
        outside = RequestMiddleware(inside, self.metrics, self.draining)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            self.seen += 1
            self._has_seen.set()
            await outside(scope, receive, send)

        self._served = Served(
            application, door=Door(admission, self.metrics, self.draining) if door else None, context=context
        )
        self.connect = self._served.connect

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await self.let_go[scope["method"]].wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def fill(self) -> RawClient:
        """A connection whose request has the only place."""
        inside = await self.connect()
        inside.send(EMPTY)
        await asyncio.wait_for(self._has_seen.wait(), TIMEOUT_S)
        return inside

    async def stop(self) -> None:
        for event in self.let_go.values():
            event.set()
        await self._served.stop()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service(door=True)
    yield service
    await service.stop()


@pytest.mark.parametrize("tls", [False, True])
async def test_what_the_door_answers_is_what_the_application_would(*, tls: bool, tmp_path: Path) -> None:
    hosts = [b"example.org", b"localhost:8080"]
    ids = [b"x-request-id: " + given for given in (b"a", b"an/id-of:33=letters@the+longest.._", b"not harmless", b"")]
    requests = [
        b"POST /v1/%b HTTP/1.1\r\nhost: %b\r\n%b\r\ncontent-length: 5\r\n\r\nabcde" % (path, host, given)
        for host in hosts
        for given in ids
        for path in (b"detect", b"anonymize?method=blur", b"no-such-call")
    ]
    context = server_context(tmp_path) if tls else None
    answers: dict[bool, list[bytes]] = {}
    for door in (True, False):
        service = Service(door=door, context=context)
        await service.fill()
        client = await service.connect()
        for request in requests:
            client.send(request)
        said = [await client.answer() for _ in requests]
        answers[door] = [re.sub(rb"[0-9a-f]{32}|date: .*", b"made up", answer) for answer in said]
        assert service.seen == (1 if door else 1 + len(requests))
        assert service.metrics.registry.get_sample_value("facet_test_refusals_total") == len(requests)
        told = {"method": "unmatched", "code": "429"}
        assert service.metrics.registry.get_sample_value("facet_test_calls_total", told) == len(requests)
        await service.stop()
    assert answers[True] == answers[False]
    assert all(answer.startswith(b"HTTP/1.1 429 ") for answer in answers[True])
    assert (b"strict-transport-security" in answers[True][0]) == tls
    assert b"x-request-id: a\r\n" in answers[True][0]


async def test_a_connection_is_refused_again_and_again_and_let_in_once_there_is_room(service: Service) -> None:
    inside = await service.fill()
    client = await service.connect()
    large = HEAD + b"content-length: 300000\r\n\r\n" + b"x" * 300_000
    for _ in range(3):
        client.send(large)
        assert (await client.answer()).startswith(b"HTTP/1.1 429 ")
    assert service.seen == 1
    service.let_go["POST"].set()
    assert (await inside.answer()).startswith(b"HTTP/1.1 200 ")
    client.send(large)
    assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [b"/v1/models", b"/readyz"])
async def test_what_carries_no_picture_passes_the_door(service: Service, path: bytes) -> None:
    await service.fill()
    client = await service.connect()
    client.send(b"GET %b HTTP/1.1\r\nhost: example.org\r\n\r\n" % path)
    service.let_go["GET"].set()
    assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_requests_behind_another_on_one_connection_are_answered_in_turn(service: Service) -> None:
    """Thousands of them come in one piece: none may take a level of the stack."""
    behind = 3000
    await service.fill()
    client = await service.connect()
    client.send(b"GET /v1/models HTTP/1.1\r\nhost: example.org\r\n\r\n" + EMPTY * behind)
    service.let_go["GET"].set()
    assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
    for _ in range(behind):
        assert (await client.answer()).startswith(b"HTTP/1.1 429 ")


async def test_a_client_that_takes_no_answers_does_not_have_them_piled_up(service: Service) -> None:
    inside = await service.fill()
    client = await service.connect()
    sent = 30_000  # answers of about a kilobyte: far more than the sockets hold
    client.send(b"%b" % (EMPTY * sent))
    answered = "facet_test_refusals_total"
    before, now = -1.0, 0.0
    while now > before:
        await asyncio.sleep(0.3)
        before, now = now, service.metrics.registry.get_sample_value(answered) or 0.0
    assert 0 < now < sent
    for _ in range(sent):
        assert (await client.answer()).startswith(b"HTTP/1.1 429 ")
    service.let_go["POST"].set()
    assert (await inside.answer()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("closing", [b"HTTP/1.1\r\nconnection: close", b"HTTP/1.0"])
async def test_who_wants_one_answer_alone_gets_it_from_the_application(service: Service, closing: bytes) -> None:
    await service.fill()
    client = await service.connect()
    client.send(b"POST /v1/detect %b\r\nhost: example.org\r\ncontent-length: 0\r\n\r\n" % closing)
    assert b"connection: close" in await client.answer()
    assert await client.is_closed()
    assert service.seen == 2


async def test_connections_are_closed_while_the_gateway_drains(service: Service) -> None:
    await service.fill()
    service.draining.begun = True
    client = await service.connect()
    client.send(EMPTY)
    assert b"connection: close" in await client.answer()
    assert await client.is_closed()


async def test_who_is_held_up_in_a_flood_is_answered_by_the_application() -> None:
    service = Service(door=True, flooded=True)
    await service.fill()
    client = await service.connect()
    for _ in range(3):
        client.send(EMPTY)
        assert (await client.answer()).startswith(b"HTTP/1.1 429 ")
    assert service.seen == 1 + 2
    await service.stop()
