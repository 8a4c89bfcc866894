"""More connections than there may be, over real sockets: idle ones go, busy ones stay, and nobody is kept out."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.acceptor import Acceptor, possible
from gateway.connections import BoundedHttpProtocol, BoundedServer
from gateway.tally import Tally
from tests.support.certificates import SERVER, Authority

AUTHORITY = Authority()
MOST = 3
TIMEOUT_S = 10.0


class Gateway:
    """Room for three connections; answers a POST when it is let go, and anything else at once."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.let_go = asyncio.Event()
        self.at_work = 0
        config = uvicorn.Config(
            self._answer,
            http=BoundedHttpProtocol,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )
        self._server = BoundedServer(config, most_connections=MOST)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._trusting = ssl.create_default_context(cadata=AUTHORITY.pem.decode()) if context else None
        self._serving = asyncio.create_task(self._server.serve([self._listener]))
        self._clients: list[Client] = []

    async def _answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.at_work += 1
        if scope["method"] == "POST":
            await self.let_go.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def connect(self, *, shaking_hands: bool = True) -> Client:
        tls = self._trusting if shaking_hands else None
        streams = await asyncio.open_connection(
            "127.0.0.1", self._listener.getsockname()[1], ssl=tls, server_hostname="localhost" if tls else None
        )
        self._clients.append(client := Client(*streams))
        return client

    async def stop(self) -> None:
        self.let_go.set()
        for client in self._clients:
            await client.leave()
        self._server.should_exit = True
        await asyncio.wait_for(self._serving, TIMEOUT_S)
        self._listener.close()


class Client:
    """A connection's other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def asks(self, method: str = "GET") -> None:
        self._writer.write(f"{method} / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n".encode())

    async def is_answered(self) -> bool:
        async with asyncio.timeout(TIMEOUT_S):
            return (await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")

    async def is_dropped(self) -> bool:
        async with asyncio.timeout(TIMEOUT_S):
            with suppress(ConnectionResetError):
                return await self._reader.read() == b""
            return True

    async def leave(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    yield gateway
    await gateway.stop()


async def test_a_newcomer_has_the_place_of_the_one_that_has_been_idle_for_longest(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tally, "telling_s", 0.05)
    first, second, third = [await gateway.connect() for _ in range(MOST)]
    first.asks()
    assert await first.is_answered()  # and so has been idle for a shorter time than the second
    newcomers = [await gateway.connect() for _ in range(2)]
    assert await second.is_dropped()
    assert await third.is_dropped()
    for client in (first, *newcomers):
        client.asks()
        assert await client.is_answered()
    await asyncio.sleep(0.1)
    told = [vars(record)["fields"] for record in caplog.records if record.name == "facet.connections"]
    assert sum(fields["dropped"] for fields in told) == 2


async def test_who_is_at_work_is_not_dropped(gateway: Gateway) -> None:
    busy = [await gateway.connect() for _ in range(MOST)]
    for client in busy:
        client.asks("POST")
    async with asyncio.timeout(TIMEOUT_S):
        while gateway.at_work < MOST:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await (await gateway.connect()).is_dropped()
    gateway.let_go.set()
    assert all([await client.is_answered() for client in busy])
    newcomer = await gateway.connect()
    newcomer.asks()
    assert await newcomer.is_answered()


async def test_who_does_not_shake_hands_keeps_nobody_out(tmp_path: Path) -> None:
    for name, content in AUTHORITY.issue(SERVER).items():
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    gateway = Gateway(context)
    silent = [await gateway.connect(shaking_hands=False) for _ in range(3 * MOST)]
    client = await gateway.connect()
    client.asks()
    assert await client.is_answered()
    assert all([await one.is_dropped() for one in silent[: 2 * MOST]])
    await gateway.stop()


@pytest.fixture
def descriptors() -> Iterator[tuple[int, int]]:
    """The limits of this process, put back afterwards."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_out_of_descriptors_connections_wait_until_there_are_some(
    gateway: Gateway,
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
    client.asks()
    await asyncio.sleep(0.5)
    for descriptor in filling:
        os.close(descriptor)
    assert await client.is_answered()
    told = [record for record in caplog.records if record.name == "facet.connections"]
    assert 1 <= len(told) <= 4
    assert {record.levelno for record in told} == {logging.WARNING}


def test_own_limit_of_descriptors_is_lifted_as_far_as_needed(descriptors: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, descriptors[1]))
    assert possible(600) == 600
    assert 600 < resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1000


@pytest.mark.parametrize(("system", "connections"), [(2000, 1744), (400, 200)])
def test_there_are_no_more_connections_than_the_system_allows(system: int, connections: int) -> None:
    asking = f"from gateway.acceptor import possible; print(possible(5000), possible({connections}))"
    command = ["prlimit", f"--nofile={system}:{system}", sys.executable, "-c", asking]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(connections), str(connections)]
    assert "few descriptors" in told.stderr
