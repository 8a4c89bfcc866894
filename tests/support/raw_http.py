"""An application behind the gateway's own server, and clients that write and read HTTP by the byte."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from gateway.http.connections import BoundedHttpProtocol, BoundedServer
from gateway.http.door import Door
from tests.support.certificates import SERVER, Authority

TIMEOUT_S = 10.0
_AUTHORITY = Authority()


def server_context(folder: Path) -> ssl.SSLContext:
    """For an HTTPS server that `Served.connect` trusts; its files are left in `folder`."""
    for name, content in _AUTHORITY.issue(SERVER).items():
        (folder / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


class Served:
    """The application on a free port of loopback, with HTTPS where there is a context."""

    def __init__(
        self,
        application: ASGIApp,
        *,
        most_connections: int = 100,
        door: Door | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        config = uvicorn.Config(
            application,
            http=BoundedHttpProtocol,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            server_header=False,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )
        self._server = BoundedServer(config, most_connections=most_connections, door=door)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._trusting = ssl.create_default_context(cadata=_AUTHORITY.pem.decode()) if context else None
        self._serving = asyncio.create_task(self._server.serve([self._listener]))
        self._clients: list[RawClient] = []

    async def connect(self, *, shaking_hands: bool = True) -> RawClient:
        """A new connection; over TLS unless it is not to shake hands."""
        tls = self._trusting if shaking_hands else None
        streams = await asyncio.open_connection(
            "127.0.0.1", self._listener.getsockname()[1], ssl=tls, server_hostname="localhost" if tls else None
        )
        self._clients.append(client := RawClient(*streams))
        return client

    async def stop(self) -> None:
        """Ends the clients' connections and the server."""
        for client in self._clients:
            await client.leave()
        self._server.should_exit = True
        await asyncio.wait_for(self._serving, TIMEOUT_S)


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, request: bytes) -> None:
        """Sends it, whatever it is."""
        self._writer.write(request)

    async def answer(self) -> bytes:
        """The next one, headers and body."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            [length] = re.findall(rb"content-length: (\d+)", head)
            return head + await self._reader.readexactly(int(length))

    async def head(self) -> bytes:
        """The next answer that has no body."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def is_closed(self) -> bool:
        """Whether the server ends the connection without another word; waits until it speaks or ends it."""
        async with asyncio.timeout(TIMEOUT_S):
            with suppress(ConnectionResetError):
                return await self._reader.read() == b""
            return True

    async def leave(self) -> None:
        """Closes the connection."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
