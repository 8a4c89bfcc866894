"""HTTP connections that may not hold the gateway up: headers of bounded size, in bounded time, refusals at once."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, ClassVar, cast

import uvicorn
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.http.acceptor import Acceptor, ConnectionLimit
from gateway.http.door import Door
from gateway.http.http_one import HttpOneParser

MAX_HEADER_BYTES = 32 * 1024
UNREAD_BYTES = 320 * 1024
"""What is held at most of a body that nobody reads yet: asyncio reads 256 KiB at once, and uvicorn stops at 64."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedServer(uvicorn.Server):
    """uvicorn's server, with bounds: so many connections, and so long for a TLS handshake and for the end of one.

    Where there is a `door`, connections ask it before the application.
    """

    patience_s: ClassVar[float] = 10.0

    def __init__(self, config: uvicorn.Config, *, most_connections: int, door: Door | None = None) -> None:
        super().__init__(config)
        self._limit = ConnectionLimit(most_connections)
        self._door = door

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves on sockets that are open already; the application has nothing to start."""
        protocol = partial(
            self.config.http_protocol_class,
            config=self.config,  # type: ignore[call-arg]  # uvicorn types it as any Protocol
            server_state=self.server_state,
            app_state={},
            limit=self._limit,
            door=self._door,
        )
        acceptors = [
            Acceptor(listener, self._limit, protocol, self.config.ssl, self.patience_s) for listener in sockets or ()
        ]
        self.servers = cast("list[asyncio.Server]", acceptors)  # what uvicorn does with them, an acceptor can: end
        self.started = True


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which waits for headers for ever and takes them in any size.

    A body that is read has limits of its own (`admission.py`), and so has an idle connection (uvicorn's keep-alive).
    The rest of a body that nobody reads, because its request was refused, is taken in for a while: a client that is cut
    off while it sends does not see the answer.
    """

    patience_s: ClassVar[float] = 10.0
    _awaiting_headers: asyncio.TimerHandle | None = None
    _awaiting_rest: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _trailer_bytes = 0
    """What has come of a body, its framing and trailers, since the last byte of its content."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        limit: ConnectionLimit,
        door: Door | None,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.parser = HttpOneParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._limit = limit
        self._door = door

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """The first request is awaited."""
        super().connection_made(transport)
        self._limit.mark_idle(self)
        self._await_headers()

    def drop(self) -> None:
        """Ends the connection at once."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._limit.remove(self)
        self._stop_waiting()
        self._stop_lingering()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what has come, unless its headers are too large."""
        awaited = self._awaiting_headers
        self._trailer_bytes += len(data)
        super().data_received(data)
        self._await_next()
        if self._awaiting_headers is None and self._trailer_bytes > MAX_HEADER_BYTES:
            self._refuse(b"" if self.cycle is not None and self.cycle.response_started else _TOO_LARGE)
            return
        if awaited is None or awaited is not self._awaiting_headers:  # part of it ended a body, or all headers came
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins: the whole of its headers is awaited."""
        super().on_message_begin()
        self._await_headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer, which comes after the body, is none and is dropped."""
        if self._awaiting_headers is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are there, unless the parser is to see them again."""
        if self.parser.should_upgrade():
            return
        self._stop_waiting()
        self._trailer_bytes = 0
        self._limit.mark_busy(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of the body's content."""
        self._trailer_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there."""
        if self.parser.should_upgrade():
            return
        self._stop_lingering()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is on its way, perhaps before the whole request has come."""
        if self.cycle.more_body:
            self._awaiting_rest = self.loop.call_later(self.patience_s, self.transport.close)
        self._note_idle()
        super().on_response_complete()

    def resume_writing(self) -> None:
        """The client has taken most of what was written."""
        super().resume_writing()
        self._note_idle()

    def _note_idle(self) -> None:
        """Idle, unless another request waits or much of an answer is still to be taken."""
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and not self.flow.write_paused and not self.transport.is_closing():
            self._limit.mark_idle(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Uvicorn's own, which every request reaches in its turn: at the door first, then in the application."""
        refusal = self._refusal(cycle)
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        self.transport.write(refusal)
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()

    def _refusal(self, cycle: RequestResponseCycle) -> bytes | None:
        """What the door says; it is not asked where the connection ends here, or where answers pile up on it."""
        piling_up = cycle is not self.cycle or self.flow.write_paused
        if self._door is None or not cycle.keep_alive or piling_up:
            return None
        return self._door.refusal(cast("Scope", cycle.scope), self.server_state.default_headers)

    def _await_next(self) -> None:
        """Whatever comes ends the keep-alive timer, be it the rest of an answered request or an empty line."""
        timers = (self._awaiting_headers, self._awaiting_rest, self.timeout_keep_alive_task)
        if self.cycle is not None and self.cycle.response_complete and not any(timers):
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _await_headers(self) -> None:
        if self._awaiting_headers is None:
            self._header_bytes = 0
            self._awaiting_headers = self.loop.call_later(self.patience_s, partial(self._refuse, _TOO_SLOW))

    def _stop_waiting(self) -> None:
        if self._awaiting_headers is not None:
            self._awaiting_headers.cancel()
            self._awaiting_headers = None

    def _stop_lingering(self) -> None:
        if self._awaiting_rest is not None:
            self._awaiting_rest.cancel()
            self._awaiting_rest = None

    def _refuse(self, answer: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
