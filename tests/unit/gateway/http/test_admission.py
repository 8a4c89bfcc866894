"""Admission: as many requests and bytes as allowed are let in, others refused unread, slow bodies given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.http.admission import Admission, AdmissionMiddleware, Admitted, Pace
from gateway.http.throttled_warning import ThrottledWarning
from services.chassis.errors import TooSlow
from services.chassis.process.metrics import TierMetrics

MOST = Admitted(requests=2, upload_bytes=1000, largest_bytes=800, held_up=3)


class Application:
    """Reads the whole body and answers when it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


class Client:
    """One request and what was answered to it."""

    def __init__(
        self, chunks: Iterable[bytes] = (b"picture",), *, length: int | None = None, finishes: bool = True
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.was_read = False
        self._chunks = list(chunks)
        self._finishes = finishes
        self._length = sum(map(len, self._chunks)) if length is None else length

    async def sends(self, admission: AdmissionMiddleware, *, method: str = "POST", path: str = "/v1/detect") -> None:
        headers = [(b"content-length", str(self._length).encode())] if self._length >= 0 else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "state": {}}
        await admission(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        self.was_read = True
        if not self._chunks:
            await asyncio.Event().wait()
        return {
            "type": "http.request",
            "body": self._chunks.pop(0),
            "more_body": bool(self._chunks) or not self._finishes,
        }

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def admission(application: Application) -> AdmissionMiddleware:
    return AdmissionMiddleware(application, Admission(MOST, TierMetrics("test")), Pace(patience_s=5))


async def test_one_request_too_many_is_refused_unread(admission: AdmissionMiddleware, application: Application) -> None:
    inside = [asyncio.create_task(Client().sends(admission)) for _ in range(2)]
    await asyncio.sleep(0)
    refused = Client()
    await refused.sends(admission)
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert json.loads(refused.body)["type"] == "urn:facet:error:OVERLOADED"
    assert not refused.was_read
    application.let_go.set()
    await asyncio.gather(*inside)
    after = Client()
    await after.sends(admission)
    assert after.status == 200


async def test_the_log_tells_how_many_were_refused_and_not_of_each(
    admission: AdmissionMiddleware, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThrottledWarning, "interval_s", 0.5)

    def told() -> list[dict[str, int]]:
        return [vars(record)["fields"] for record in caplog.records if record.name == "facet.admission"]

    async def lines(number: int) -> list[dict[str, int]]:
        async with asyncio.timeout(10):
            while len(told()) < number:  # noqa: ASYNC110  (the log has no event)
                await asyncio.sleep(0.01)
        return told()

    inside = [asyncio.create_task(Client().sends(admission)) for _ in range(2)]
    await asyncio.sleep(0)
    for _ in range(3):
        await Client().sends(admission)
    assert told() == []
    assert await lines(1) == [{"refused": 3}]
    await Client().sends(admission)
    assert await lines(2) == [{"refused": 3}, {"refused": 1}]
    for task in inside:
        task.cancel()


class Flooded(Admission):
    """Refuses two at once, and two more for every answer."""

    at_once_per_answer = 1
    hold_up_s = 0.2


@pytest.fixture
def flooded(application: Application) -> AdmissionMiddleware:
    return AdmissionMiddleware(application, Flooded(MOST, TierMetrics("test")), Pace())


async def sent(admission: AdmissionMiddleware, count: int) -> tuple[list[Client], list[asyncio.Task[None]]]:
    """So many requests under way, none of which can go on by itself."""
    clients = [Client() for _ in range(count)]
    tasks = [asyncio.create_task(client.sends(admission)) for client in clients]
    await asyncio.sleep(0)
    return clients, tasks


async def test_in_a_flood_refusals_wait_as_long_as_clients_are_told_to(
    flooded: AdmissionMiddleware, application: Application
) -> None:
    _, inside = await sent(flooded, 2)
    at_once, _ = await sent(flooded, 2)
    assert [client.status for client in at_once] == [429, 429]
    held_up, waiting = await sent(flooded, 3)
    assert [client.status for client in held_up] == [0, 0, 0]
    too_many, _ = await sent(flooded, 1)
    assert too_many[0].status == 429
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert [client.status for client in held_up] == [429, 429, 429]
    assert not any(client.was_read for client in held_up)
    application.let_go.set()
    await asyncio.gather(*inside)


async def test_who_waits_is_overtaken_by_no_other_refusal_and_let_in_when_there_is_room(
    flooded: AdmissionMiddleware, application: Application
) -> None:
    _, inside = await sent(flooded, 2)
    await sent(flooded, 2)
    held_up, waiting = await sent(flooded, 1)
    application.let_go.set()
    await asyncio.gather(*inside)  # two more may be refused at once, but for the one that waits
    application.let_go.clear()
    _, inside = await sent(flooded, 2)
    behind, also_waiting = await sent(flooded, 1)
    assert behind[0].status == 0
    application.let_go.set()
    await asyncio.gather(*inside, *waiting, *also_waiting)
    assert [client.status for client in (*held_up, *behind)] == [200, 200]


async def test_after_a_flood_refusals_are_at_once_again(flooded: AdmissionMiddleware, application: Application) -> None:
    _, inside = await sent(flooded, 2)
    await sent(flooded, 2)
    _, waiting = await sent(flooded, 1)
    await asyncio.gather(*waiting)
    application.let_go.set()
    await asyncio.gather(*inside)
    application.let_go.clear()
    _, inside = await sent(flooded, 2)
    refused, _ = await sent(flooded, 1)
    assert refused[0].status == 429
    application.let_go.set()
    await asyncio.gather(*inside)


async def test_bodies_that_would_hold_too_much_are_refused_unread(
    admission: AdmissionMiddleware, application: Application
) -> None:
    inside = asyncio.create_task(Client([b"x" * 700]).sends(admission))
    await asyncio.sleep(0)
    refused = Client([b"x" * 301])
    await refused.sends(admission)
    assert refused.status == 429
    application.let_go.set()
    fits = Client([b"x" * 300])
    await fits.sends(admission)
    assert fits.status == 200
    await inside


async def test_a_body_of_unknown_length_counts_as_the_largest(
    admission: AdmissionMiddleware, application: Application
) -> None:
    inside = asyncio.create_task(Client([b"x" * 300]).sends(admission))
    await asyncio.sleep(0)
    chunked = Client([b"x"], length=-1)
    await chunked.sends(admission)
    assert chunked.status == 429
    application.let_go.set()
    await inside


async def test_a_single_body_is_let_in_whatever_it_announces(
    admission: AdmissionMiddleware, application: Application
) -> None:
    application.let_go.set()
    lone = Client([b"x" * 10], length=10_000)
    await lone.sends(admission)
    assert lone.status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("GET", "/readyz"), ("POST", "/other")])
async def test_what_carries_no_picture_is_always_let_in(
    method: str, path: str, admission: AdmissionMiddleware, application: Application
) -> None:
    inside = [asyncio.create_task(Client().sends(admission)) for _ in range(2)]
    await asyncio.sleep(0)
    passing = asyncio.create_task(Client([b""]).sends(admission, method=method, path=path))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(application.bodies) == 3
    application.let_go.set()
    await asyncio.gather(*inside, passing)


async def test_a_body_that_stops_coming_is_given_up_and_frees_its_place(application: Application) -> None:
    pace = Pace(patience_s=0.05, bytes_a_second=1e6)
    admission = AdmissionMiddleware(application, Admission(MOST, TierMetrics("test")), pace)
    with pytest.raises(TooSlow, match="slower than"):
        await Client([b"half"], finishes=False).sends(admission)
    application.let_go.set()
    for _ in range(3):
        after = Client()
        await after.sends(admission)
        assert after.status == 200
