"""Connections over real sockets: headers too slow or too large, and what is left of a refused body."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.http.connections import MAX_HEADER_BYTES, BoundedHttpProtocol, BoundedServer

HEAD = b"POST / HTTP/1.1\r\nhost: test\r\n"


class Impatient(BoundedHttpProtocol):
    patience_s = 0.3


async def answering_unread(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("refused", 429)(scope, receive, send)


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answering_unread, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=1)
    server = BoundedServer(config, most_connections=100)
    serving = asyncio.create_task(server.serve([listener]))
    yield listener.getsockname()
    server.should_exit = True
    await serving


async def answered(address: tuple[str, int], *parts: bytes, pause_s: float = 0.0) -> bytes:
    """All that the server says until it closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    reading = asyncio.create_task(reader.read())
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reading, 5)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_client_that_sends_nothing_is_cut_off(address: tuple[str, int]) -> None:
    assert b"408 Request Timeout" in await answered(address)


async def test_headers_that_drip_in_are_cut_off(address: tuple[str, int]) -> None:
    assert b"408 Request Timeout" in await answered(address, HEAD, b"a: 1\r\n", b"b: 2\r\n", pause_s=0.05)


async def test_the_headers_of_a_second_request_are_awaited_no_longer(address: tuple[str, int]) -> None:
    whole = HEAD + b"content-length: 0\r\n\r\n"
    said = await answered(address, whole, HEAD, pause_s=0.1)
    assert b"429 Too Many Requests" in said
    assert b"408 Request Timeout" in said


async def test_headers_that_are_too_large_are_refused(address: tuple[str, int]) -> None:
    large = b"x: " + b"y" * 1000 + b"\r\n"
    assert b"431 " in await answered(address, HEAD, *[large] * (MAX_HEADER_BYTES // 1000 + 1), pause_s=0.001)


async def test_the_rest_of_a_refused_body_is_taken_in_and_the_connection_lives_on(address: tuple[str, int]) -> None:
    half = b"x" * (2 * MAX_HEADER_BYTES)
    begun = HEAD + f"content-length: {2 * len(half)}\r\n\r\n".encode() + half
    said = await answered(address, begun, half, begun, half, pause_s=0.1)
    assert said.count(b"429 Too Many Requests") == 2


async def test_the_rest_of_a_refused_body_is_not_awaited_for_ever(address: tuple[str, int]) -> None:
    begun = HEAD + b"content-length: 1000\r\n\r\n"
    said = await answered(address, begun, *[b"x"] * 8, pause_s=0.05)
    assert b"429 Too Many Requests" in said


@pytest.mark.parametrize("rest", [b"", b"\r\n"])
async def test_an_idle_connection_is_closed_in_silence(address: tuple[str, int], rest: bytes) -> None:
    said = await answered(address, HEAD + b"content-length: 0\r\n\r\n", rest, pause_s=0.1)
    assert said.count(b"HTTP/1.1") == 1


async def test_a_connection_that_is_idle_after_a_refused_body_is_closed_in_silence(address: tuple[str, int]) -> None:
    said = await answered(address, HEAD + b"content-length: 2\r\n\r\nx", b"x", pause_s=0.1)
    assert said.count(b"HTTP/1.1") == 1
