"""Requests that offer another protocol, over real sockets: served as HTTP/1.1, with their body, in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.http.connections import MAX_HEADER_BYTES
from tests.support.raw_http import RawClient, Served

JAVA = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAA\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
KEPT = b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n"
OFFERS = (JAVA, WEBSOCKET, KEPT)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers the path, which headers came and the body."""
    request = Request(scope, receive)
    body = await request.body()
    names = ",".join(name for name in request.headers if name.startswith("x-"))
    await PlainTextResponse(f"{request.method} {request.url.path} [{names}] {body.decode()}")(scope, receive, send)


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    served = Served(echo)
    yield served
    await served.stop()


@pytest.fixture
async def client(server: Served) -> RawClient:
    return await server.connect()


def post(path: bytes, offer: bytes, body: bytes, *, version: bytes = b"1.1") -> bytes:
    head = b"POST %b HTTP/%b\r\nHost: facet\r\nX-One: 1\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path, version, offer, len(body)) + body


def content_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("offer", OFFERS)
async def test_body_of_a_request_with_an_offer_arrives(client: RawClient, offer: bytes) -> None:
    client.send(post(b"/a?b=c", offer, b"the picture"))
    answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert content_of(answer) == b"POST /a [x-one] the picture"


@pytest.mark.parametrize("offer", OFFERS)
async def test_connection_lives_on_after_an_offer(client: RawClient, offer: bytes) -> None:
    for number in range(3):
        client.send(post(b"/%d" % number, offer, b"body %d" % number))
        assert content_of(await client.answer()) == b"POST /%d [x-one] body %d" % (number, number)


async def test_pipelined_requests_with_offers_are_answered_in_their_order(client: RawClient) -> None:
    client.send(b"".join(post(b"/%d" % n, (*OFFERS, b"")[n % 4], b"body %d" % n) for n in range(12)))
    for number in range(12):
        assert content_of(await client.answer()) == b"POST /%d [x-one] body %d" % (number, number)


async def test_request_with_an_offer_may_come_byte_by_byte(client: RawClient) -> None:
    for byte in post(b"/slow", JAVA, b"drop by drop") + post(b"/next", b"", b"whole"):
        client.send(bytes([byte]))
    assert content_of(await client.answer()) == b"POST /slow [x-one] drop by drop"
    assert content_of(await client.answer()) == b"POST /next [x-one] whole"


async def test_chunked_body_of_a_request_with_an_offer_arrives(client: RawClient) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: facet\r\n" + JAVA + b"Transfer-Encoding: chunked\r\n\r\n")
    client.send(b"4\r\nfour\r\n3\r\n, 3\r\n0\r\n\r\n")
    assert content_of(await client.answer()) == b"POST / [] four, 3"


async def test_client_that_offers_and_waits_for_100_continue_gets_it(client: RawClient) -> None:
    whole = post(b"/", JAVA + b"Expect: 100-continue\r\n", b"awaited")
    head, _, body = whole.partition(b"\r\n\r\n")
    client.send(head + b"\r\n\r\n")
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(body)
    assert content_of(await client.answer()) == b"POST / [x-one] awaited"


async def test_handshake_of_a_websocket_is_answered_as_any_request(client: RawClient) -> None:
    client.send(b"GET /page HTTP/1.1\r\nHost: facet\r\n" + WEBSOCKET + b"\r\n")
    assert content_of(await client.answer()) == b"GET /page [] "


async def test_offer_does_not_change_where_a_body_ends(client: RawClient) -> None:
    """Nothing that follows the announced length becomes part of the body, nor the other way round."""
    client.send(post(b"/a", JAVA, b"a") + b"GET /b HTTP/1.1\r\nHost: facet\r\n\r\n")
    assert content_of(await client.answer()) == b"POST /a [x-one] a"
    assert content_of(await client.answer()) == b"GET /b [] "


async def test_two_lengths_are_refused_with_an_offer_as_without(client: RawClient) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: facet\r\n" + JAVA + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")
    assert (await client.answer()).startswith(b"HTTP/1.1 400 ")


async def test_tunnel_is_refused(client: RawClient) -> None:
    client.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert (await client.answer()).startswith(b"HTTP/1.1 400 ")
    assert await client.is_closed()


async def test_trailers_are_no_headers(client: RawClient) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: facet\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"1\r\na\r\n0\r\nX-Late: 1\r\nAuthorization: Bearer late\r\n\r\n")
    assert content_of(await client.answer()) == b"POST / [] a"


@pytest.mark.parametrize("endless", [b"0\r\nX-Late: ", b"1;extension="])
async def test_framing_without_end_is_refused(client: RawClient, endless: bytes) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: facet\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(endless + b"x" * MAX_HEADER_BYTES)
    assert (await client.answer()).startswith(b"HTTP/1.1 431 ")
    assert await client.is_closed()
