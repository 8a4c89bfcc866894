"""More connections than there may be, over real sockets: idle ones go, busy ones stay, and nobody is kept out."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http.acceptor import Acceptor, raise_fd_limit
from gateway.http.throttled_warning import ThrottledWarning
from tests.support.raw_http import TIMEOUT_S, RawClient, Served, server_context

MOST = 3
LARGE = 64 << 20
"""More than the sockets hold."""
GET = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n"


class Application:
    """Answers a POST when it is let go, and anything else at once; `/large` at length."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.at_work = 0

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.at_work += 1
        if scope["method"] == "POST":
            await self.let_go.wait()
        body = bytes(LARGE if scope["path"] == "/large" else 0)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def gateway(application: Application) -> AsyncIterator[Served]:
    gateway = Served(application, most_connections=MOST)
    yield gateway
    application.let_go.set()
    await gateway.stop()


async def is_served(client: RawClient) -> bool:
    client.send(GET)
    return (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_a_newcomer_has_the_place_of_the_one_that_has_been_idle_for_longest(
    gateway: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThrottledWarning, "interval_s", 0.05)
    first, second, third = [await gateway.connect() for _ in range(MOST)]
    assert await is_served(first)  # and so has been idle for a shorter time than the second
    newcomers = [await gateway.connect() for _ in range(2)]
    assert await second.is_closed()
    assert await third.is_closed()
    for client in (first, *newcomers):
        assert await is_served(client)
    await asyncio.sleep(0.1)
    told = [vars(record)["fields"] for record in caplog.records if record.name == "facet.connections"]
    assert sum(fields["dropped"] for fields in told) == 2


async def test_who_is_at_work_is_not_dropped(gateway: Served, application: Application) -> None:
    busy = [await gateway.connect() for _ in range(MOST)]
    for client in busy:
        client.send(POST)
    async with asyncio.timeout(TIMEOUT_S):
        while application.at_work < MOST:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await (await gateway.connect()).is_closed()
    application.let_go.set()
    for client in busy:
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
    assert await is_served(await gateway.connect())


async def test_an_answer_is_taken_to_its_end_before_its_connection_is_idle(
    gateway: Served, application: Application
) -> None:
    slow = await gateway.connect()
    slow.send(GET.replace(b"/", b"/large", 1))
    async with asyncio.timeout(TIMEOUT_S):
        while not application.at_work:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for _ in range(2 * MOST):
        assert await is_served(await gateway.connect())
    assert len(await slow.answer()) > LARGE
    newcomers = [await gateway.connect() for _ in range(MOST)]
    assert await slow.is_closed()
    assert await is_served(newcomers[-1])


async def test_who_does_not_shake_hands_keeps_nobody_out(application: Application, tmp_path: Path) -> None:
    gateway = Served(application, most_connections=MOST, context=server_context(tmp_path))
    silent = [await gateway.connect(shaking_hands=False) for _ in range(3 * MOST)]
    assert await is_served(await gateway.connect())
    assert all([await one.is_closed() for one in silent[: 2 * MOST]])
    await gateway.stop()


@pytest.fixture
def descriptors() -> Iterator[tuple[int, int]]:
    """The limits of this process, put back afterwards."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_out_of_descriptors_connections_wait_until_there_are_some(
    gateway: Served,
    descriptors: tuple[int, int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Acceptor, "pause_s", 0.2)
    await gateway.connect()
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
    filling = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
    client_end = os.dup(filling[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(*filling, client_end) + 1, descriptors[1]))
    os.close(client_end)
    client = await gateway.connect()
    client.send(GET)
    await asyncio.sleep(0.5)
    for descriptor in filling:
        os.close(descriptor)
    assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
    told = [record for record in caplog.records if record.name == "facet.connections"]
    assert 1 <= len(told) <= 4
    assert {record.levelno for record in told} == {logging.WARNING}


def test_own_limit_of_descriptors_is_lifted_as_far_as_needed(descriptors: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, descriptors[1]))
    assert raise_fd_limit(600) == 600
    assert 600 < resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1000


@pytest.mark.parametrize(("system", "connections"), [(2000, 1744), (400, 200)])
def test_there_are_no_more_connections_than_the_system_allows(system: int, connections: int) -> None:
    asking = (
        f"from gateway.http.acceptor import raise_fd_limit; print(raise_fd_limit(5000), raise_fd_limit({connections}))"
    )
    command = ["prlimit", f"--nofile={system}:{system}", sys.executable, "-c", asking]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(connections), str(connections)]
    assert "few descriptors" in told.stderr
